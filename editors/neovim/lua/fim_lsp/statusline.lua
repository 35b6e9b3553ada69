--- A component for any statusline: `%{v:lua.require'fim_lsp.statusline'.text()}`.

local client = require('fim_lsp.client')
local status = require('fim_lsp.status')
local switch = require('fim_lsp.switch')

local M = {}

local METHOD = 'textDocument/inlineCompletion'

---@return boolean whether a suggestion is being made for this buffer
local function thinking()
  local bufnr = vim.api.nvim_get_current_buf()
  local attached = client.get(bufnr)
  return attached ~= nil
    and vim.iter(pairs(attached.requests)):any(function(_, request)
      return request.type == 'pending' and request.method == METHOD and request.bufnr == bufnr
    end)
end

---@alias fim_lsp.State 'error'|'loading'|'off'|'warning'|'busy'|'ready'|'none'

--- What the server is up to, as one word: for icons and colours of your own.
---@return fim_lsp.State
function M.state()
  local now = status.get()
  if now.kind == 'Error' then
    return 'error'
  elseif now.busy then
    return 'loading'
  elseif not client.get(vim.api.nvim_get_current_buf()) then
    return 'none'
  elseif now.kind == 'Inactive' or not switch.is_on(vim.api.nvim_get_current_buf()) then
    return 'off'
  elseif now.kind == 'Warning' then
    return 'warning'
  end
  return thinking() and 'busy' or 'ready'
end

--- The state in a few words; empty where no server is wanted.
---@return string
function M.text()
  local state, now = M.state(), status.get()
  if state == 'none' then
    return ''
  elseif state == 'loading' then
    local percent = now.percent and (' %d%%'):format(now.percent) or ''
    return 'fim: ' .. (now.message == '' and 'loading' or now.message:lower()) .. percent
  elseif state == 'error' or state == 'warning' then
    return ('fim: %s: %s'):format(state, now.message)
  elseif state == 'busy' then
    return 'fim: …'
  end
  return 'fim: ' .. state
end

return M
