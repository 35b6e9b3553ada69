--- Turn suggestions on or off: everywhere, for a language, or for a buffer. Where they are off, the
--- server is not asked.

local client = require('fim_lsp.client')
local display = require('fim_lsp.display')

local M = {}

---@type table<string, true> filetypes without suggestions
local disabled_filetypes = {}

--- Return whether suggestions are on in a buffer.
---
--- They are off if `g:fim_lsp_enabled` or `b:fim_lsp_enabled` is false.
---@param bufnr integer
---@return boolean
function M.is_on(bufnr)
  return vim.g.fim_lsp_enabled ~= false
    and vim.b[bufnr].fim_lsp_enabled ~= false
    and not disabled_filetypes[vim.bo[bufnr].filetype]
end

--- Apply the switches to every attached buffer.
function M.apply()
  local server = client.get()
  for bufnr in pairs(server and server.attached_buffers or {}) do
    if vim.api.nvim_buf_is_loaded(bufnr) then
      display.get().enable(bufnr, M.is_on(bufnr))
    end
  end
end

--- Send the switch for everywhere to the server, so that it computes nothing in vain.
function M.send()
  local server = client.get()
  if not server then
    return
  end
  local enabled = vim.g.fim_lsp_enabled ~= false
  client.execute(server, { title = 'Toggle', command = 'fimLsp.toggle', arguments = { enabled } })
end

---@alias fim_lsp.Scope 'all'|'language'|'buffer'

--- Flip or set a switch.
---@param scope fim_lsp.Scope
---@param on? boolean nil to flip it
---@return boolean on
function M.toggle(scope, on)
  local filetype = vim.bo.filetype
  if scope == 'language' then
    on = vim.F.if_nil(on, disabled_filetypes[filetype] == true)
    disabled_filetypes[filetype] = not on or nil
  elseif scope == 'buffer' then
    on = vim.F.if_nil(on, vim.b.fim_lsp_enabled == false)
    vim.b.fim_lsp_enabled = on
  else
    on = vim.F.if_nil(on, vim.g.fim_lsp_enabled == false)
    vim.g.fim_lsp_enabled = on
    M.send()
  end
  M.apply()
  return on
end

return M
