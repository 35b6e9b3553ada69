--- A component for any statusline: `%{v:lua.require'fim_lsp.statusline'.text()}`.

local client = require('fim_lsp.client')
local status = require('fim_lsp.status')
local switch = require('fim_lsp.switch')

local M = {}

local METHOD = 'textDocument/inlineCompletion'

--- Return whether a request for this buffer is not answered yet.
---@return boolean
local function is_pending()
  local bufnr = vim.api.nvim_get_current_buf()
  local server = client.get(bufnr)
  return server ~= nil
    and vim.iter(pairs(server.requests)):any(function(_, request)
      return request.type == 'pending' and request.method == METHOD and request.bufnr == bufnr
    end)
end

---@alias fim_lsp.State 'error'|'loading'|'off'|'warning'|'busy'|'ready'|'none'

--- Return the state as one word, for icons and colours of your own. `none`: no server is attached.
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
  return is_pending() and 'busy' or 'ready'
end

--- Return the state in a few words; empty if no server is attached.
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
