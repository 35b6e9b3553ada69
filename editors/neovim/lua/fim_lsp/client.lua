--- The server process: start it, bring it back after a crash, talk to it.

local config = require('fim_lsp.config')
local log = require('fim_lsp.log')
local status = require('fim_lsp.status')

local M = { name = 'fim_lsp' }

local CRASH_WINDOW_S = 180
local RESTART_AFTER_MS = 500
local SIGTERM = 15
-- Neovim 0.11 brought vim.lsp.config, and methods of clients that take the client itself.
local is_0_11 = vim.fn.has('nvim-0.11') == 1

---@type number[] when the server crashed, in seconds
local crashes = {}

---@param bufnr? integer
---@return vim.lsp.Client?
function M.get(bufnr)
  local clients = vim.lsp.get_clients({ name = M.name, bufnr = bufnr })
  return vim.iter(clients):find(function(client)
    return not client.is_stopped(client)
  end)
end

---@param client vim.lsp.Client
---@param method string
---@param params table
---@param handler lsp.Handler
---@param bufnr integer
---@return boolean sent
---@return integer? request_id
function M.request(client, method, params, handler, bufnr)
  if is_0_11 then
    return client:request(method, params, handler, bufnr)
  end
  return client.request(method, params, handler, bufnr)
end

---@param client vim.lsp.Client
---@param method string
---@param params table
function M.notify(client, method, params)
  if is_0_11 then
    client:notify(method, params)
  else
    client.notify(method, params)
  end
end

---@param client vim.lsp.Client
---@param request_id integer
function M.cancel(client, request_id)
  if is_0_11 then
    client:cancel_request(request_id)
  else
    client.cancel_request(request_id)
  end
end

--- Run a command of the server.
---@param client vim.lsp.Client
---@param command lsp.Command
---@param answered? fun(result: any)
function M.execute(client, command, answered)
  local params = { command = command.command, arguments = command.arguments }
  M.request(client, 'workspace/executeCommand', params, function(err, result)
    if err then
      log.tell(vim.lsp.protocol.MessageType.Error, err.message)
    elseif answered then
      answered(result)
    end
  end, vim.api.nvim_get_current_buf())
end

--- Change settings of the server while it runs; they stay for servers that start later.
---@param settings fim_lsp.ServerSettings
function M.configure(settings)
  config.options.settings = vim.tbl_deep_extend('force', config.options.settings, settings)
  if is_0_11 then
    vim.lsp.config(M.name, { settings = { fimLsp = config.options.settings } })
  end
  for _, client in ipairs(vim.lsp.get_clients({ name = M.name })) do
    client.settings = { fimLsp = config.options.settings }
    M.notify(client, 'workspace/didChangeConfiguration', { settings = client.settings })
  end
end

--- The command line of the server without the flag that makes it serve, for its other verbs.
---@param ... string
---@return string[]
function M.command_line(...)
  local base = vim.tbl_filter(function(argument)
    return argument ~= '--stdio'
  end, config.options.cmd)
  return vim.list_extend(base, { ... })
end

---@type table<string, lsp.Handler>
local handlers = {
  ['fimLsp/status'] = function(_, params)
    status.set(params)
  end,
  ['window/logMessage'] = function(_, params)
    log.add(params.type, params.message)
  end,
  ['window/showMessage'] = function(_, params)
    if params.type <= vim.lsp.protocol.MessageType.Warning then
      log.tell(params.type, params.message)
    else
      log.add(params.type, params.message)
    end
  end,
}

---@param code integer
---@param signal integer
local function exited(code, signal)
  local asked_for = (code == 0 and signal == 0) or signal == SIGTERM
  if asked_for or vim.v.exiting ~= vim.NIL then
    status.set({ kind = 'Inactive', message = 'stopped', busy = false })
    return
  end
  local now = os.time()
  crashes = vim.tbl_filter(function(at)
    return now - at < CRASH_WINDOW_S
  end, crashes)
  crashes[#crashes + 1] = now
  local how = signal ~= 0 and ('by signal %d'):format(signal) or ('with exit code %d'):format(code)
  log.add(vim.lsp.protocol.MessageType.Error, 'The server ended ' .. how .. '.')
  if #crashes > config.options.restarts then
    status.set({ kind = 'Error', message = 'The server keeps ending.', busy = false })
    local remedy = 'The server keeps ending. See :FimLsp log, then :FimLsp doctor.'
    log.tell(vim.lsp.protocol.MessageType.Error, remedy)
    return
  end
  status.set({ kind = 'Warning', message = 'restarting', busy = true })
  vim.defer_fn(M.start, RESTART_AFTER_MS)
end

--- Start the process. Neovim hears of every end as of a good one: it would report another in a
--- message so long that the editor stops with "Press ENTER". `exited` says what there is to say.
---@param dispatchers vim.lsp.rpc.Dispatchers
---@return vim.lsp.rpc.PublicClient
local function launch(dispatchers)
  local heard = vim.tbl_extend('force', dispatchers, {
    on_exit = function(code, signal)
      vim.schedule(function()
        exited(code, signal)
      end)
      dispatchers.on_exit(0, 0)
    end,
  })
  return vim.lsp.rpc.start(config.options.cmd, heard)
end

---@return vim.lsp.ClientConfig
local function overrides()
  local capabilities = vim.lsp.protocol.make_client_capabilities()
  -- Announced by Neovim itself from 0.12 on.
  capabilities.textDocument.inlineCompletion = { dynamicRegistration = false }
  return {
    name = M.name,
    cmd = launch,
    filetypes = config.options.filetypes,
    capabilities = capabilities,
    init_options = { status = true },
    settings = { fimLsp = config.options.settings },
    handlers = handlers,
    before_init = function()
      status.set({ kind = 'Normal', message = 'starting', busy = true })
    end,
  }
end

--- Attach a buffer in Neovim 0.10, which has no vim.lsp.enable.
---@param bufnr integer
local function attach(bufnr)
  local filetypes = config.options.filetypes
  local filetype = vim.bo[bufnr].filetype
  if vim.bo[bufnr].buftype ~= '' or filetype == '' then
    return
  elseif filetypes and not vim.list_contains(filetypes, filetype) then
    return
  end
  local base = dofile(vim.api.nvim_get_runtime_file('lsp/fim_lsp.lua', false)[1])
  local whole = vim.tbl_extend('force', base, overrides())
  whole.root_dir = vim.fs.root(bufnr, base.root_markers)
  vim.lsp.start(whole, { bufnr = bufnr, reuse_client = base.reuse_client })
end

---@return boolean found
local function executable()
  local program = config.options.cmd[1]
  if vim.fn.executable(program) == 1 then
    return true
  end
  status.set({ kind = 'Error', message = program .. ' is not installed', busy = false })
  local remedy = 'there is no program %s. Install the server, or set cmd; :checkhealth fim_lsp.'
  log.tell(vim.lsp.protocol.MessageType.Error, remedy:format(program))
  return false
end

--- Start the server for every buffer that wants it, now and later. Again after a crash.
function M.start()
  if not executable() then
    return
  end
  if is_0_11 then
    vim.lsp.config(M.name, overrides())
    vim.lsp.enable(M.name)
    return
  end
  vim.api.nvim_create_autocmd('FileType', {
    group = vim.api.nvim_create_augroup('fim_lsp.start', {}),
    desc = 'fim-lsp: attach',
    callback = function(event)
      attach(event.buf)
    end,
  })
  vim.iter(vim.api.nvim_list_bufs()):filter(vim.api.nvim_buf_is_loaded):each(attach)
end

return M
