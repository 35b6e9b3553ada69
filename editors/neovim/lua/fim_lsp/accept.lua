--- Put the suggestion, or a part of it, into the buffer, as one step for undo.

local client = require('fim_lsp.client')
local display = require('fim_lsp.display')
local suggestion = require('fim_lsp.suggestion')

local api = vim.api

local M = {}

--- End the block of changes that one `u` takes back; see |undo-break|.
local function break_undo()
  vim.cmd('let &g:undolevels = &g:undolevels')
end

---@param text string
---@param stop integer byte column up to which the line is replaced
local function insert(text, stop)
  local row, col = unpack(api.nvim_win_get_cursor(0))
  local lines = vim.split(text, '\n', { plain = true })
  break_undo()
  api.nvim_buf_set_text(0, row - 1, col, row - 1, stop, lines)
  local before = #lines == 1 and col or 0
  api.nvim_win_set_cursor(0, { row + #lines - 1, before + #lines[#lines] })
  break_undo()
end

--- The server learns of a whole accept by the item's own command, of a part by this notification.
---@param item fim_lsp.Item
---@param accepted string the item's text up to where it is accepted
local function tell_part(item, accepted)
  local to = client.get()
  if to and to.id == item.client_id then
    local utf16 = require('fim_lsp.columns').to_server(accepted, #accepted, 'utf-16')
    client.notify(to, 'textDocument/didPartiallyAcceptCompletion', {
      item = { insertText = item.text, command = item.command },
      acceptedLength = utf16,
    })
  end
end

---@param part_of fun(text: string): string
---@return boolean accepted
local function accept(part_of)
  local item, rest = display.at_cursor()
  if not item or not rest then
    return false
  end
  local part = part_of(rest.text)
  if part == '' or part == rest.text then
    display.get().hide(api.nvim_get_current_buf())
    insert(rest.text, rest.stop)
    local from = vim.lsp.get_client_by_id(item.client_id)
    if item.command and from then
      client.execute(from, item.command)
    end
  else
    insert(part, api.nvim_win_get_cursor(0)[2])
    tell_part(item, item.text:sub(1, #item.text - #rest.text + #part))
  end
  return true
end

--- Accept the whole suggestion.
---@return boolean accepted
function M.all()
  return accept(function(text)
    return text
  end)
end

--- Accept its next word.
---@return boolean accepted
function M.word()
  return accept(suggestion.word)
end

--- Accept its next line.
---@return boolean accepted
function M.line()
  return accept(suggestion.line)
end

return M
