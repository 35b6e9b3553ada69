--- Ghost text drawn by this plugin: for Neovim before 0.12, and for users who prefer it.
---
--- Every keystroke sends a request. The server waits before it starts a generation, because it
--- knows what a start costs. While the user types the suggestion's own text, the remainder stays on
--- the screen.

local client = require('fim_lsp.client')
local columns = require('fim_lsp.columns')
local config = require('fim_lsp.config')
local popup = require('fim_lsp.popup')
local suggestion = require('fim_lsp.suggestion')

local api = vim.api
local METHOD = 'textDocument/inlineCompletion'
local AUTOMATIC = 2

local M = { namespace = api.nvim_create_namespace('fim_lsp.ghost') }

---@type { bufnr: integer, items: fim_lsp.Item[], index: integer }? the shown suggestion
local shown
---@type string? cursor state of the last request: a keystroke fires two events, but requests once
local last_requested
---@type { client: vim.lsp.Client, id: integer }? the request that is not answered yet
local pending

--- Return a key for the buffer, its text and the cursor's position.
---@param bufnr integer
---@return string
local function cursor_state(bufnr)
  local row, col = unpack(api.nvim_win_get_cursor(0))
  return table.concat({ bufnr, api.nvim_buf_get_changedtick(bufnr), row, col }, ':')
end

--- Return whether the user is typing in the buffer.
---@param bufnr integer
---@return boolean
local function inserting(bufnr)
  return bufnr == api.nvim_get_current_buf() and vim.startswith(api.nvim_get_mode().mode, 'i')
end

---@return boolean
local function hidden_by_popup()
  return config.options.popup == 'hide' and popup.visible()
end

--- Replace tabs with spaces, because virtual text shows a tab as ^I.
---@param text string
---@param col integer display column where the text begins
---@return string
local function expand_tabs(text, col)
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

--- Draw the remainder of the shown item at the cursor, or clear it if it no longer fits.
---@param bufnr integer
local function draw(bufnr)
  api.nvim_buf_clear_namespace(bufnr, M.namespace, 0, -1)
  local item = M.current(bufnr)
  if not item or not inserting(bufnr) or hidden_by_popup() then
    return
  end
  local row, col = unpack(api.nvim_win_get_cursor(0))
  local line = api.nvim_get_current_line()
  local remainder = row - 1 == item.row and suggestion.remainder(item, line, col) or nil
  if not remainder then
    shown = nil
    return
  end
  local lines = vim.split(remainder.text, '\n', { plain = true })
  -- The text that the suggestion replaces. It is not drawn again if the first line ends with it.
  local covered = line:sub(col + 1, remainder.stop)
  local repeats = #lines == 1 and vim.endswith(lines[1], covered)
  local first = repeats and lines[1]:sub(1, #lines[1] - #covered) or lines[1]
  local chunks = { { expand_tabs(first, vim.fn.virtcol('.') - 1), 'FimLspGhost' } }
  if #shown.items > 1 then
    chunks[2] = { (' (%d/%d)'):format(shown.index, #shown.items), 'FimLspGhost' }
  end
  api.nvim_buf_set_extmark(bufnr, M.namespace, item.row, col, {
    virt_text = chunks,
    virt_text_pos = (covered == '' or repeats) and 'inline' or 'overlay',
    virt_lines = vim
      .iter(vim.list_slice(lines, 2))
      :map(function(text)
        return { { expand_tabs(text, 0), 'FimLspGhost' } }
      end)
      :totable(),
    hl_mode = 'combine',
  })
end

--- Convert an item of the server's answer.
---@param raw lsp.InlineCompletionItem
---@param server vim.lsp.Client
---@param line string
---@param col integer
---@return fim_lsp.Item
local function to_item(raw, server, line, col)
  local row = api.nvim_win_get_cursor(0)[1] - 1
  local range = raw.range
  return {
    client_id = server.id,
    text = type(raw.insertText) == 'table' and raw.insertText.value or raw.insertText,
    row = range and range.start.line or row,
    start = range and columns.to_bytes(line, range.start.character, server.offset_encoding) or col,
    stop = range and columns.to_bytes(line, range['end'].character, server.offset_encoding) or col,
    command = raw.command,
  }
end

--- Show the items of an answer.
---@param bufnr integer
---@param server vim.lsp.Client
---@param result lsp.InlineCompletionList|lsp.InlineCompletionItem[]
local function show_items(bufnr, server, result)
  local line, col = api.nvim_get_current_line(), api.nvim_win_get_cursor(0)[2]
  local items = vim
    .iter(result.items or result)
    :map(function(raw)
      return to_item(raw, server, line, col)
    end)
    :totable()
  shown = #items > 0 and { bufnr = bufnr, items = items, index = 1 } or nil
  draw(bufnr)
end

--- Request suggestions at the cursor. An answer for an older cursor state is dropped.
---@param bufnr integer
---@param kind lsp.InlineCompletionTriggerKind
function M.request(bufnr, kind)
  local server = client.get(bufnr)
  if not server or not inserting(bufnr) or hidden_by_popup() then
    return
  end
  local state = cursor_state(bufnr)
  local row, col = unpack(api.nvim_win_get_cursor(0))
  local character = columns.to_server(api.nvim_get_current_line(), col, server.offset_encoding)
  last_requested = state
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
  _, id = client.request(server, METHOD, params, function(err, result)
    if pending and pending.id == id then
      pending = nil
    end
    -- null: a newer request replaced this one, and its answer is the one to show.
    local is_current = inserting(bufnr) and state == cursor_state(bufnr)
    if not err and type(result) == 'table' and is_current then
      show_items(bufnr, server, result)
    end
  end, bufnr)
  pending = id and { client = server, id = id } or nil
end

--- Redraw after a keystroke, and request suggestions.
---@param bufnr integer
local function on_typing(bufnr)
  if not inserting(bufnr) then
    return
  end
  draw(bufnr)
  if last_requested ~= cursor_state(bufnr) then
    M.request(bufnr, AUTOMATIC)
  end
end

--- Return the shown item.
---@param bufnr integer
---@return fim_lsp.Item?
function M.current(bufnr)
  return shown and shown.bufnr == bufnr and shown.items[shown.index] or nil
end

--- Hide the suggestion and cancel the pending request.
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
---@param count integer 1 for the next, -1 for the previous
function M.select(bufnr, count)
  if M.current(bufnr) then
    shown.index = (shown.index - 1 + count) % #shown.items + 1
    draw(bufnr)
  end
end

--- Request suggestions at every keystroke in a buffer, or stop.
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
    desc = 'fim-lsp: request a suggestion',
    callback = function()
      on_typing(bufnr)
    end,
  })
  api.nvim_create_autocmd('InsertEnter', {
    group = group,
    buffer = bufnr,
    desc = 'fim-lsp: request a suggestion',
    -- The mode changes only after the event.
    callback = vim.schedule_wrap(function()
      on_typing(bufnr)
    end),
  })
  api.nvim_create_autocmd({ 'InsertLeave', 'BufLeave' }, {
    group = group,
    buffer = bufnr,
    desc = 'fim-lsp: hide',
    callback = function()
      last_requested = nil
      M.hide(bufnr)
    end,
  })
end

return M
