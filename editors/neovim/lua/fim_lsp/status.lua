--- The server's state as it last told: `fimLsp/status`, and how far a model is loaded.

---@class fim_lsp.Status
---@field kind 'Normal'|'Warning'|'Error'|'Inactive'
---@field message string
---@field busy boolean
---@field percent? integer Of a model that is being loaded.

local M = {}

---@type fim_lsp.Status
local current = { kind = 'Inactive', message = 'not started', busy = false }

---@return fim_lsp.Status
function M.get()
  return current
end

---@param pattern string
local function announce(pattern)
  vim.api.nvim_exec_autocmds('User', { pattern = pattern, modeline = false, data = current })
end

--- Take a new state and tell whoever listens: `User FimLspStatus`, and the statusline. `User
--- FimLspReady` says that requests are served from now on; before, they were answered with nothing.
---@param status fim_lsp.Status
function M.set(status)
  local ready = current.busy and not status.busy and status.kind == 'Normal'
  current = status
  vim.schedule(function()
    announce('FimLspStatus')
    if ready then
      announce('FimLspReady')
    end
    vim.cmd.redrawstatus({ bang = true })
  end)
end

--- Note how far a model is loaded.
---@param value { kind: string, percentage?: integer }
function M.progress(value)
  if current.busy then
    M.set({
      kind = current.kind,
      message = current.message,
      busy = true,
      percent = value.kind ~= 'end' and value.percentage or nil,
    })
  end
end

return M
