--- Ghost text drawn by this plugin: for Neovim before 0.12, and for who prefers it.
---
--- Asks at every keystroke and leaves the waiting to the server, which knows what a start costs.
--- What is typed through stays on screen without a gap.

local client = require('fim_lsp.client')
local columns = require('fim_lsp.columns')
local config = require('fim_lsp.config')
local popup = require('fim_lsp.popup')
local suggestion = require('fim_lsp.suggestion')

local api = vim.api
local METHOD = 'textDocument/inlineCompletion'
local AUTOMATIC = 2

local M = { namespace = api.nvim_create_namespace('fim_lsp.ghost') }

---@type { bufnr: integer, items: fim_lsp.Item[], index: integer }?
local shown
---@type string? where was asked last, so that one keystroke, which fires two events, asks once
local asked
---@type { client: vim.lsp.Client, id: integer }?
local pending

---@param bufnr integer
---@return string where the cursor stands, in which text
local function whereabouts(bufnr)
  local row, col = unpack(api.nvim_win_get_cursor(0))
  return table.concat({ bufnr, api.nvim_buf_get_changedtick(bufnr), row, col }, ':')
end

---@param bufnr integer
---@return boolean
local function inserting(bufnr)
  return bufnr == api.nvim_get_current_buf() and vim.startswith(api.nvim_get_mode().mode, 'i')
end

local function hidden_by_popup()
  return config.options.popup == 'hide' and popup.visible()
end

---@param text string
---@param col integer display column where it begins
---@return string without tabs, which virtual text shows as ^I
local function without_tabs(text, col)
  local width = vim.bo.tabstop
  local parts = {}
  for piece, tab in text:gmatch('([^\t]*)(\t?)') do
    parts[#parts + 1] = piece
    col = col + vim.fn.strdisplaywidth(piece)
    if tab ~= '' then
      local blanks = width - col % width
      parts[#parts + 1] = (' '):rep(blanks)
      col = col + blanks
    end
  end
  return table.concat(parts)
end

--- Show what is left of the current item at the cursor, or nothing.
---@param bufnr integer
local function draw(bufnr)
  api.nvim_buf_clear_namespace(bufnr, M.namespace, 0, -1)
  local item = M.current(bufnr)
  if not item or not inserting(bufnr) or hidden_by_popup() then
    return
  end
  local row, col = unpack(api.nvim_win_get_cursor(0))
  local line = api.nvim_get_current_line()
  local rest = row - 1 == item.row and suggestion.rest(item, line, col) or nil
  if not rest then
    shown = nil
    return
  end
  local lines = vim.split(rest.text, '\n', { plain = true })
  local covered = line:sub(col + 1, rest.stop)
  local repeats = #lines == 1 and vim.endswith(lines[1], covered)
  local first = repeats and lines[1]:sub(1, #lines[1] - #covered) or lines[1]
  local chunks = { { without_tabs(first, vim.fn.virtcol('.') - 1), 'FimLspGhost' } }
  if #shown.items > 1 then
    chunks[2] = { (' (%d/%d)'):format(shown.index, #shown.items), 'FimLspGhost' }
  end
  api.nvim_buf_set_extmark(bufnr, M.namespace, item.row, col, {
    virt_text = chunks,
    virt_text_pos = (covered == '' or repeats) and 'inline' or 'overlay',
    virt_lines = vim
      .iter(vim.list_slice(lines, 2))
      :map(function(text)
        return { { without_tabs(text, 0), 'FimLspGhost' } }
      end)
      :totable(),
    hl_mode = 'combine',
  })
end

---@param raw lsp.InlineCompletionItem
---@param from vim.lsp.Client
---@param line string
---@param col integer
---@return fim_lsp.Item
local function to_item(raw, from, line, col)
  local row = api.nvim_win_get_cursor(0)[1] - 1
  local range = raw.range
  return {
    client_id = from.id,
    text = type(raw.insertText) == 'table' and raw.insertText.value or raw.insertText,
    row = range and range.start.line or row,
    start = range and columns.to_bytes(line, range.start.character, from.offset_encoding) or col,
    stop = range and columns.to_bytes(line, range['end'].character, from.offset_encoding) or col,
    command = raw.command,
  }
end

---@param bufnr integer
---@param from vim.lsp.Client
---@param result lsp.InlineCompletionList|lsp.InlineCompletionItem[]
local function take(bufnr, from, result)
  local line, col = api.nvim_get_current_line(), api.nvim_win_get_cursor(0)[2]
  local items = vim
    .iter(result.items or result)
    :map(function(raw)
      return to_item(raw, from, line, col)
    end)
    :totable()
  shown = #items > 0 and { bufnr = bufnr, items = items, index = 1 } or nil
  draw(bufnr)
end

--- Ask for suggestions at the cursor; an answer that comes too late is dropped.
---@param bufnr integer
---@param kind lsp.InlineCompletionTriggerKind
function M.request(bufnr, kind)
  local to = client.get(bufnr)
  if not to or not inserting(bufnr) or hidden_by_popup() then
    return
  end
  local at = whereabouts(bufnr)
  local row, col = unpack(api.nvim_win_get_cursor(0))
  local character = columns.to_server(api.nvim_get_current_line(), col, to.offset_encoding)
  asked = at
  local params = {
    textDocument = vim.lsp.util.make_text_document_params(bufnr),
    position = { line = row - 1, character = character },
    context = { triggerKind = kind },
    formattingOptions = {
      tabSize = vim.lsp.util.get_effective_tabstop(bufnr),
      insertSpaces = vim.bo[bufnr].expandtab,
    },
  }
  local _, id
  _, id = client.request(to, METHOD, params, function(err, result)
    if pending and pending.id == id then
      pending = nil
    end
    -- null: a newer request took over, whose answer is the one to show.
    if not err and type(result) == 'table' and inserting(bufnr) and at == whereabouts(bufnr) then
      take(bufnr, to, result)
    end
  end, bufnr)
  pending = id and { client = to, id = id } or nil
end

---@param bufnr integer
local function moved(bufnr)
  if not inserting(bufnr) then
    return
  end
  draw(bufnr)
  if asked ~= whereabouts(bufnr) then
    M.request(bufnr, AUTOMATIC)
  end
end

---@param bufnr integer
---@return fim_lsp.Item?
function M.current(bufnr)
  return shown and shown.bufnr == bufnr and shown.items[shown.index] or nil
end

---@param bufnr integer
function M.hide(bufnr)
  if pending then
    client.cancel(pending.client, pending.id)
    pending = nil
  end
  shown = nil
  if api.nvim_buf_is_valid(bufnr) then
    api.nvim_buf_clear_namespace(bufnr, M.namespace, 0, -1)
  end
end

--- Show another of several items.
---@param bufnr integer
---@param count integer
function M.select(bufnr, count)
  if M.current(bufnr) then
    shown.index = (shown.index - 1 + count) % #shown.items + 1
    draw(bufnr)
  end
end

--- Ask at every keystroke in a buffer, or no more.
---@param bufnr integer
---@param on boolean
function M.enable(bufnr, on)
  local group = api.nvim_create_augroup('fim_lsp.ghost:' .. bufnr, {})
  if not on then
    M.hide(bufnr)
    return
  end
  local typing = { 'TextChangedI', 'CursorMovedI' }
  if config.options.popup == 'keep' then
    typing[#typing + 1] = 'TextChangedP'
  end
  api.nvim_create_autocmd(typing, {
    group = group,
    buffer = bufnr,
    desc = 'fim-lsp: follow the typing',
    callback = function()
      moved(bufnr)
    end,
  })
  api.nvim_create_autocmd('InsertEnter', {
    group = group,
    buffer = bufnr,
    desc = 'fim-lsp: suggest where insert mode begins',
    -- The mode only changes after the event.
    callback = vim.schedule_wrap(function()
      moved(bufnr)
    end),
  })
  api.nvim_create_autocmd({ 'InsertLeave', 'BufLeave' }, {
    group = group,
    buffer = bufnr,
    desc = 'fim-lsp: hide',
    callback = function()
      asked = nil
      M.hide(bufnr)
    end,
  })
end

return M
