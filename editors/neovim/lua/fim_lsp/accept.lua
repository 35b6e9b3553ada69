--- Insert the suggestion, or a part of it, as one undo step.

local client = require('fim_lsp.client')
local columns = require('fim_lsp.columns')
local display = require('fim_lsp.display')
local suggestion = require('fim_lsp.suggestion')

local api = vim.api

local M = {}

--- End the block of changes that one `u` takes back; see |undo-break|.
local function break_undo()
  vim.cmd('let &g:undolevels = &g:undolevels')
end

--- Insert text at the cursor, and move the cursor behind it.
---@param text string
---@param stop integer byte column up to which the line is replaced
local function insert(text, stop)
  local row, col = unpack(api.nvim_win_get_cursor(0))
  local lines = vim.split(text, '\n', { plain = true })
  break_undo()
  api.nvim_buf_set_text(0, row - 1, col, row - 1, stop, lines)
  local indent = #lines == 1 and col or 0
  api.nvim_win_set_cursor(0, { row + #lines - 1, indent + #lines[#lines] })
  break_undo()
end

--- Notify the server that a part was accepted. For a whole item the item's own command does so.
---@param item fim_lsp.Item
---@param accepted string the item's text up to the end of the accepted part
local function notify_partly_accepted(item, accepted)
  local server = client.get()
  if server and server.id == item.client_id then
    client.notify(server, 'textDocument/didPartiallyAcceptCompletion', {
      item = { insertText = item.text, command = item.command },
      acceptedLength = columns.to_server(accepted, #accepted, 'utf-16'),
    })
  end
end

--- Accept a part of the suggestion at the cursor.
---@param part_of fun(text: string): string chooses the part
---@return boolean accepted
local function accept(part_of)
  local item, remainder = display.at_cursor()
  if not item or not remainder then
    return false
  end
  local part = part_of(remainder.text)
  if part == '' or part == remainder.text then
    display.get().hide(api.nvim_get_current_buf())
    insert(remainder.text, remainder.stop)
    local server = vim.lsp.get_client_by_id(item.client_id)
    if item.command and server then
      client.execute(server, item.command)
    end
  else
    insert(part, api.nvim_win_get_cursor(0)[2])
    notify_partly_accepted(item, item.text:sub(1, #item.text - #remainder.text + #part))
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

--- Accept the next word of the suggestion.
---@return boolean accepted
function M.word()
  return accept(suggestion.next_word)
end

--- Accept the next line of the suggestion.
---@return boolean accepted
function M.line()
  return accept(suggestion.next_line)
end

return M
