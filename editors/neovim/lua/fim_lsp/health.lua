--- The checks of `:checkhealth fim_lsp`.

local cli = require('fim_lsp.cli')
local client = require('fim_lsp.client')
local config = require('fim_lsp.config')
local display = require('fim_lsp.display')
local status = require('fim_lsp.status')

local health = vim.health

local M = {}

local function check_neovim()
  local version = tostring(vim.version())
  if vim.fn.has('nvim-0.10') == 0 then
    health.error(('Neovim %s is too old'):format(version), 'Use Neovim 0.10 or newer.')
    return
  end
  health.ok(('Neovim %s; ghost text is drawn by %s'):format(version, display.drawn_by()))
  if config.options.display == 'native' and display.name() ~= 'native' then
    health.warn('display is native, but this Neovim has no inline completion that can be used')
  end
end

---@return boolean runs
local function check_program()
  local program = config.options.cmd[1]
  if vim.fn.executable(program) == 0 then
    local install = 'Install it (pip install . in a clone), or give setup the whole path: '
      .. "cmd = { '/path/to/fim-lsp', '--stdio' }."
    health.error(('There is no program %s'):format(program), install)
    return false
  end
  local code, version, problem = cli.run('--version')
  if code ~= 0 then
    health.error(('%s does not run: %s'):format(program, problem), 'Install it again.')
    return false
  end
  health.ok(('%s: %s'):format(version, vim.fn.exepath(program)))
  return true
end

local function check_model()
  local name = config.model_name()
  if not name then
    health.ok("The model is the user's or the default one; :FimLsp doctor tests it")
    return
  end
  local found, failure = cli.json('model', 'path', name)
  if failure then
    health.error(failure.problem, failure.remedy)
  else
    health.ok(('Model %s: %s'):format(name, found.path))
  end
end

local function check_server()
  local running, now = client.get(), status.get()
  if now.code == 'model_missing' then
    health.error(now.message, ('Run: fim-lsp model pull %s'):format(now.model))
  elseif now.kind == 'Error' then
    health.error(now.message, 'See :FimLsp log and :FimLsp doctor.')
  elseif not running then
    health.info('No server is running: it starts with the first file that is opened')
  else
    local buffers = #vim.tbl_keys(running.attached_buffers)
    health.ok(('Client %d, %d buffers: %s'):format(running.id, buffers, now.message))
  end
end

local function check_keys()
  for name, key in vim.spairs(config.options.keys) do
    local mapping = key and vim.fn.maparg(key, 'i', false, true) or {}
    local hidden = key and client.get(0) and not vim.startswith(mapping.desc or '', 'fim-lsp: ')
    if hidden then
      local advice = 'Give keys.%s another key, or let that mapping fall back to the former one.'
      health.warn(('%s (%s) is mapped by something else'):format(key, name), advice:format(name))
    end
  end
end

--- Run all checks.
function M.check()
  health.start('fim-lsp')
  check_neovim()
  if check_program() then
    check_model()
  end
  check_server()
  check_keys()
end

return M
