--- The server's state: the last `fimLsp/status`, and how much of the model is loaded.

---@alias fim_lsp.StatusCode
---| 'loading' # codes of the server
---| 'ready'
---| 'asleep'
---| 'disabled'
---| 'model_missing'
---| 'model_unknown'
---| 'model_failed'
---| 'template_failed'
---| 'completion_failed'
---| 'failed'
---| 'not_started' # codes of this plugin, about the server's process
---| 'not_installed'
---| 'starting'
---| 'restarting'
---| 'stopped'
---| 'crashed'

---@class fim_lsp.Status
---@field kind 'Normal'|'Warning'|'Error'|'Inactive'
---@field message string A sentence for people.
---@field busy boolean
---@field code fim_lsp.StatusCode
---@field model? string The model in use, loading or failed: a name in the catalog, or a path.
---@field percent? integer How much of the model is loaded.

local M = {}

---@type fim_lsp.Status
local current = { kind = 'Inactive', message = 'not started', busy = false, code = 'not_started' }

--- Return the current state.
---@return fim_lsp.Status
function M.get()
  return current
end

---@param pattern string
local function emit(pattern)
  vim.api.nvim_exec_autocmds('User', { pattern = pattern, modeline = false, data = current })
end

--- Set the state, then emit `User FimLspStatus` and redraw the statusline.
---
--- Emit `User FimLspReady` when the model has been loaded. Requests before that got empty answers.
---@param status fim_lsp.Status
function M.set(status)
  local became_ready = current.busy and not status.busy and status.kind == 'Normal'
  current = status
  vim.schedule(function()
    emit('FimLspStatus')
    if became_ready then
      emit('FimLspReady')
    end
    vim.cmd.redrawstatus({ bang = true })
  end)
end

--- Set how much of the model is loaded.
---@param value { kind: string, percentage?: integer } from LSP's `$/progress`
function M.progress(value)
  if current.busy then
    local status = vim.deepcopy(current)
    status.percent = value.kind ~= 'end' and value.percentage or nil
    M.set(status)
  end
end

return M
