--- Tell the server where the cursor rests, so that it can evaluate the prompt there before the
--- first key. In insert mode each key sends a request of its own, so this is for normal mode.

local client = require('fim_lsp.client')
local columns = require('fim_lsp.columns')

local api = vim.api

-- Longer than the 150 ms for which Neovim holds back changes of a buffer.
local REST_MS = 200

local M = {}

---@type uv.uv_timer_t?
local timer

--- Send the position of the cursor, unless the user is typing.
local function tell()
  local bufnr = api.nvim_get_current_buf()
  local server = client.get(bufnr)
  local typing = not vim.startswith(api.nvim_get_mode().mode, 'n')
  if not server or typing or not require('fim_lsp.switch').is_on(bufnr) then
    return
  end
  local row, col = unpack(api.nvim_win_get_cursor(0))
  client.notify(server, 'fimLsp/cursor', {
    textDocument = vim.lsp.util.make_text_document_params(bufnr),
    position = {
      line = row - 1,
      character = columns.to_server(api.nvim_get_current_line(), col, server.offset_encoding),
    },
  })
end

--- Send the cursor's position once it rests.
local function moved()
  timer = timer or assert(vim.uv.new_timer())
  timer:start(REST_MS, 0, vim.schedule_wrap(tell))
end

--- Watch the cursor in all buffers.
---@param group integer the autocommands' group
function M.watch(group)
  api.nvim_create_autocmd({ 'CursorMoved', 'BufEnter', 'FocusGained' }, {
    group = group,
    desc = 'fim-lsp: tell where the cursor rests',
    callback = moved,
  })
end

return M
