--- The server process: start it, restart it after a crash, send it requests and notifications.

local config = require('fim_lsp.config')
local log = require('fim_lsp.log')
local status = require('fim_lsp.status')

local M = { name = 'fim_lsp' }

local CRASH_WINDOW_S = 180
local RESTART_AFTER_MS = 500
local SIGTERM = 15
-- Neovim 0.11 added vim.lsp.config, and clients whose methods take the client itself.
local is_0_11 = vim.fn.has('nvim-0.11') == 1

---@type integer[] times of crashes, in seconds since the epoch
local crashes = {}

--- Return the running client.
---@param bufnr? integer only if it is attached to this buffer; 0 for the current one
---@return vim.lsp.Client?
function M.get(bufnr)
  local clients = vim.lsp.get_clients({ name = M.name, bufnr = bufnr })
  return vim.iter(clients):find(function(client)
    return not client.is_stopped(client)
  end)
end

--- Send a request.
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

--- Send a notification.
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

--- Cancel a request.
---@param client vim.lsp.Client
---@param request_id integer
function M.cancel(client, request_id)
  if is_0_11 then
    client:cancel_request(request_id)
  else
    client.cancel_request(request_id)
  end
end

--- Run a command of the language server.
---@param client vim.lsp.Client
---@param command lsp.Command
---@param on_result? fun(result: any)
function M.execute(client, command, on_result)
  local params = { command = command.command, arguments = command.arguments }
  M.request(client, 'workspace/executeCommand', params, function(err, result)
    if err then
      log.notify(vim.lsp.protocol.MessageType.Error, err.message)
    elseif on_result then
      on_result(result)
    end
  end, vim.api.nvim_get_current_buf())
end

--- Change the server's settings while it runs. A server that starts later gets them, too.
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
      log.notify(params.type, params.message)
    else
      log.add(params.type, params.message)
    end
  end,
}

--- Restart a server that ended by itself, until it does so too often.
---@param code integer exit code
---@param signal integer 0 if no signal ended the process
local function on_exit(code, signal)
  local expected = (code == 0 and signal == 0) or signal == SIGTERM
  if expected or vim.v.exiting ~= vim.NIL then
    status.set({ kind = 'Inactive', message = 'stopped', busy = false, code = 'stopped' })
    return
  end
  local now = os.time()
  crashes = vim.tbl_filter(function(time)
    return now - time < CRASH_WINDOW_S
  end, crashes)
  crashes[#crashes + 1] = now
  local cause = signal ~= 0 and ('by signal %d'):format(signal)
    or ('with exit code %d'):format(code)
  log.add(vim.lsp.protocol.MessageType.Error, 'The server ended ' .. cause .. '.')
  if #crashes > config.options.restarts then
    status.set({
      kind = 'Error',
      message = 'The server keeps ending.',
      busy = false,
      code = 'crashed',
    })
    local remedy = 'The server keeps ending. See :FimLsp log, then :FimLsp doctor.'
    log.notify(vim.lsp.protocol.MessageType.Error, remedy)
    return
  end
  status.set({ kind = 'Warning', message = 'restarting', busy = true, code = 'restarting' })
  vim.defer_fn(M.start, RESTART_AFTER_MS)
end

--- Start the process. Neovim gets every exit reported as a normal one: it would report any other in
--- a message so long that the editor stops with "Press ENTER". `on_exit` reports it instead.
---@param dispatchers vim.lsp.rpc.Dispatchers
---@return vim.lsp.rpc.PublicClient
local function launch(dispatchers)
  local wrapped = vim.tbl_extend('force', dispatchers, {
    on_exit = function(code, signal)
      vim.schedule(function()
        on_exit(code, signal)
      end)
      dispatchers.on_exit(0, 0)
    end,
  })
  return vim.lsp.rpc.start(config.options.cmd, wrapped)
end

--- Return the client's configuration, as it differs from `lsp/fim_lsp.lua`.
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
      status.set({ kind = 'Normal', message = 'starting', busy = true, code = 'starting' })
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
  local client_config = vim.tbl_extend('force', base, overrides())
  client_config.root_dir = vim.fs.root(bufnr, base.root_markers)
  vim.lsp.start(client_config, { bufnr = bufnr, reuse_client = base.reuse_client })
end

--- Check that the server's program exists; report it if not.
---@return boolean found
local function check_executable()
  local program = config.options.cmd[1]
  if vim.fn.executable(program) == 1 then
    return true
  end
  status.set({
    kind = 'Error',
    message = program .. ' is not installed',
    busy = false,
    code = 'not_installed',
  })
  local remedy = 'there is no program %s. Install the server, or set cmd; :checkhealth fim_lsp.'
  log.notify(vim.lsp.protocol.MessageType.Error, remedy:format(program))
  return false
end

--- Start the server, and attach it to the buffers that are open and to those opened later.
function M.start()
  if not check_executable() then
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
