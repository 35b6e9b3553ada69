--- On or off: everywhere, for a language, or for a buffer. Where it is off, nothing is asked.

local client = require('fim_lsp.client')
local display = require('fim_lsp.display')

local M = {}

---@type table<string, boolean>
local languages_off = {}

--- Whether suggestions are on in a buffer. `g:fim_lsp_enabled` and `b:fim_lsp_enabled` may say no.
---@param bufnr integer
---@return boolean
function M.is_on(bufnr)
  return vim.g.fim_lsp_enabled ~= false
    and vim.b[bufnr].fim_lsp_enabled ~= false
    and not languages_off[vim.bo[bufnr].filetype]
end

--- Make every attached buffer's display follow the switches.
function M.apply()
  local attached = client.get()
  for bufnr in pairs(attached and attached.attached_buffers or {}) do
    if vim.api.nvim_buf_is_loaded(bufnr) then
      display.get().enable(bufnr, M.is_on(bufnr))
    end
  end
end

--- Tell a server what it can't know: one that has just started, or one that is to rest.
function M.tell()
  local to = client.get()
  if not to then
    return
  end
  local everywhere = vim.g.fim_lsp_enabled ~= false
  client.execute(to, { title = 'Toggle', command = 'fimLsp.toggle', arguments = { everywhere } })
end

---@alias fim_lsp.Scope 'all'|'language'|'buffer'

--- Flip, or set, one of the switches.
---@param scope fim_lsp.Scope
---@param on? boolean
---@return boolean on
function M.toggle(scope, on)
  local filetype = vim.bo.filetype
  if scope == 'language' then
    on = vim.F.if_nil(on, languages_off[filetype] == true)
    languages_off[filetype] = not on or nil
  elseif scope == 'buffer' then
    on = vim.F.if_nil(on, vim.b.fim_lsp_enabled == false)
    vim.b.fim_lsp_enabled = on
  else
    on = vim.F.if_nil(on, vim.g.fim_lsp_enabled == false)
    vim.g.fim_lsp_enabled = on
    M.tell()
  end
  M.apply()
  return on
end

return M
