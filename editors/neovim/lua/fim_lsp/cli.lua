--- The server's command line: its subcommands `model`, `doctor` and others.

local config = require('fim_lsp.config')

local M = {}

local TIMEOUT_MS = 20000

---@class fim_lsp.CommandError A failure, as `--json` prints it.
---@field code string
---@field problem string
---@field remedy string

--- Return the command line of a subcommand: `cmd` without the flag that starts the server.
---@param ... string
---@return string[]
function M.command_line(...)
  local base = vim.tbl_filter(function(argument)
    return argument ~= '--stdio'
  end, config.options.cmd)
  return vim.list_extend(base, { ... })
end

--- Run a subcommand to its end.
---@param ... string
---@return integer code exit code; -1 if the program can't be run
---@return string stdout
---@return string stderr or why the program can't be run
function M.run(...)
  local started, process = pcall(vim.system, M.command_line(...), { text = true })
  if not started then
    return -1, '', tostring(process)
  end
  local done = process:wait(TIMEOUT_MS)
  return done.code, vim.trim(done.stdout or ''), vim.trim(done.stderr or '')
end

--- Run a subcommand with `--json` and decode what it prints.
---@param ... string
---@return any value nil if the subcommand failed
---@return fim_lsp.CommandError? failure
function M.json(...)
  local arguments = { ... }
  arguments[#arguments + 1] = '--json'
  local code, stdout, stderr = M.run(unpack(arguments))
  local decoded, value = pcall(vim.json.decode, stdout)
  if code == 0 and decoded then
    return value
  elseif decoded and type(value) == 'table' and value.problem then
    return nil, value
  end
  return nil, { code = 'command_failed', problem = stderr, remedy = '' }
end

return M
