--- The command `:FimLsp` and its subcommands.

local cli = require('fim_lsp.cli')
local client = require('fim_lsp.client')
local columns = require('fim_lsp.columns')
local config = require('fim_lsp.config')

local M = {}

--- Show lines in a window of their own, which `q` closes.
---@param lines string[]
---@param name string
local function show(lines, name)
  vim.cmd('botright new')
  local bufnr = vim.api.nvim_get_current_buf()
  vim.api.nvim_buf_set_lines(bufnr, 0, -1, false, lines)
  vim.api.nvim_buf_set_name(bufnr, ('fim-lsp://%s/%d'):format(name, bufnr))
  vim.bo[bufnr].buftype = 'nofile'
  vim.bo[bufnr].bufhidden = 'wipe'
  vim.bo[bufnr].modifiable = false
  vim.keymap.set('n', 'q', '<Cmd>close<CR>', { buffer = bufnr, desc = 'fim-lsp: close' })
end

---@param text string
local function notify(text)
  vim.notify('fim-lsp: ' .. text)
end

---@param text string
local function notify_error(text)
  vim.notify('fim-lsp: ' .. text, vim.log.levels.ERROR)
end

--- Run a function with the server's client, or report that there is none.
---@param action fun(running: vim.lsp.Client)
local function with_client(action)
  local running = client.get()
  if running then
    action(running)
  else
    notify_error('no server is running. Open a file, or see :checkhealth fim_lsp.')
  end
end

--- Show the server's state, and whether suggestions are on in this buffer.
local function status()
  local now, bufnr = require('fim_lsp.status').get(), vim.api.nvim_get_current_buf()
  if not client.get(bufnr) then
    notify(('%s; not attached to this buffer'):format(now.message))
    return
  end
  local on = require('fim_lsp.switch').is_on(bufnr) and 'on' or 'off'
  local drawn_by = require('fim_lsp.display').drawn_by()
  notify(('%s; %s here, drawn by %s'):format(now.message, on, drawn_by))
end

--- Turn suggestions on or off.
---@param scope? string
local function toggle(scope)
  scope = scope or 'all'
  if not vim.list_contains({ 'all', 'language', 'buffer' }, scope) then
    notify_error(('there is no %s to toggle: all, language or buffer.'):format(scope))
    return
  end
  local on = require('fim_lsp').toggle(scope)
  local where =
    { all = 'everywhere', language = 'for ' .. vim.bo.filetype, buffer = 'in this buffer' }
  notify(('%s %s'):format(on and 'on' or 'off', where[scope]))
end

--- Use another model; without a name, let the user choose one.
---@param name? string
local function model(name)
  local function use(chosen)
    if chosen then
      client.configure({ model = { name = chosen } })
      notify(('the model is %s from now on, until Neovim ends.'):format(chosen))
    end
  end
  if name then
    use(name:match('%.gguf$') and vim.fn.fnamemodify(name, ':p') or name)
    return
  end
  vim.ui.select(require('fim_lsp.models').names(), { prompt = 'Model' }, use)
end

--- Use an adapter, or none; without a path, show which are set.
---@param path? string a GGUF file, or 'none'
---@param scale? string
local function adapter(path, scale)
  if not path then
    local adapters = config.options.settings.adapters or {}
    local labels = vim.tbl_map(function(item)
      return ('%s (%s)'):format(vim.fn.fnamemodify(item.path, ':t'), item.scale or 1)
    end, adapters)
    notify(#labels > 0 and 'adapters: ' .. table.concat(labels, ', ') or 'no adapter is set.')
    return
  end
  if path == 'none' then
    client.configure({ adapters = {} })
    notify('without adapters from now on.')
    return
  end
  local absolute = vim.fn.fnamemodify(path, ':p')
  if vim.fn.filereadable(absolute) == 0 then
    notify_error(('there is no file %s.'):format(absolute))
    return
  end
  client.configure({ adapters = { { path = absolute, scale = tonumber(scale) or 1 } } })
  notify(('with %s from now on.'):format(vim.fn.fnamemodify(absolute, ':t')))
end

--- Show why the last suggestion is what it is.
local function explain()
  with_client(function(running)
    client.execute(running, { title = 'Explain', command = 'fimLsp.explain' }, function(result)
      show(require('fim_lsp.explain').lines(result), 'explain')
    end)
  end)
end

--- Return the place of the text that a range names: characters that were selected, or whole lines.
---@param call fim_lsp.CommandCall
---@param encoding fim_lsp.Encoding
---@return lsp.Range
local function range_of(call, encoding)
  local lines = vim.api.nvim_buf_get_lines(0, call.line1 - 1, call.line2, true)
  local first, last = lines[1], lines[#lines]
  local from, to = 0, #last
  local start, stop = vim.fn.getpos("'<"), vim.fn.getpos("'>")
  if vim.fn.visualmode() == 'v' and start[2] == call.line1 and stop[2] == call.line2 then
    from = math.min(start[3] - 1, #first)
    to = math.min(stop[3] - 1, #last)
    if vim.o.selection ~= 'exclusive' and to < #last then
      to = to + #vim.fn.matchstr(last:sub(to + 1), '.')
    end
  end
  return {
    start = { line = call.line1 - 1, character = columns.to_server(first, from, encoding) },
    ['end'] = { line = call.line2 - 1, character = columns.to_server(last, to, encoding) },
  }
end

--- Record the selected text as what should have been suggested there.
---@param call fim_lsp.CommandCall
local function expected(call)
  if call.range == 0 then
    notify_error("select the text that should have been suggested, then :'<,'>FimLsp expected.")
    return
  end
  with_client(function(running)
    local uri = vim.uri_from_bufnr(0)
    local place = { uri = uri, range = range_of(call, running.offset_encoding) }
    local command = { title = 'Expected', command = 'fimLsp.expected', arguments = { place } }
    client.execute(running, command, function(result)
      if result.problem ~= '' then
        notify_error(result.problem)
      else
        notify(('recorded; %d cases.'):format(result.recorded))
      end
    end)
  end)
end

--- Run the server's doctor in a terminal.
local function doctor()
  local command = cli.command_line('doctor')
  local name = config.model_name()
  vim.list_extend(command, name and { '--model', name } or {})
  vim.cmd('botright new')
  if vim.fn.has('nvim-0.11') == 1 then
    vim.fn.jobstart(command, { term = true })
  else
    vim.fn.termopen(command)
  end
end

--- Show the server's log.
local function log()
  local lines = require('fim_lsp.log').lines()
  lines[#lines + 1] = 'Neovim keeps what the server wrote to stderr in ' .. vim.lsp.get_log_path()
  show(lines, 'log')
  vim.cmd('normal! G')
end

---@alias fim_lsp.CommandCall vim.api.keyset.create_user_command.command_args

---@class fim_lsp.Subcommand
---@field run? fun(...: string)
---@field complete? fun(lead: string): string[]
---@field on_range? fun(call: fim_lsp.CommandCall) called with a range, in place of `run`

--- Keep the words that begin with `lead`.
---@param words string[]
---@param lead string
---@return string[]
local function starting_with(words, lead)
  return vim.tbl_filter(function(word)
    return vim.startswith(word, lead)
  end, words)
end

--- List the GGUF files and folders whose paths begin with `lead`.
---@param lead string
---@return string[]
local function gguf_files(lead)
  return vim.tbl_filter(function(path)
    return path:match('%.gguf$') ~= nil or vim.fn.isdirectory(path) == 1
  end, vim.fn.getcompletion(lead, 'file'))
end

---@type table<string, fim_lsp.Subcommand>
local SUBCOMMANDS = {
  status = { run = status },
  toggle = {
    run = toggle,
    complete = function(lead)
      return starting_with({ 'all', 'buffer', 'language' }, lead)
    end,
  },
  model = {
    run = model,
    complete = function(lead)
      local names = starting_with(require('fim_lsp.models').names(), lead)
      return vim.list_extend(names, gguf_files(lead))
    end,
  },
  adapter = {
    run = adapter,
    complete = function(lead)
      return vim.list_extend(starting_with({ 'none' }, lead), gguf_files(lead))
    end,
  },
  explain = { run = explain },
  expected = { on_range = expected },
  doctor = { run = doctor },
  log = { run = log },
}

--- Run `:FimLsp`.
---@param call fim_lsp.CommandCall
function M.run(call)
  local name = call.fargs[1] or 'status'
  local subcommand = SUBCOMMANDS[name]
  if not subcommand then
    notify_error(('there is no :FimLsp %s. See :help :FimLsp.'):format(name))
    return
  end
  if subcommand.on_range then
    subcommand.on_range(call)
  elseif call.range > 0 then
    notify_error((':FimLsp %s takes no range.'):format(name))
  else
    subcommand.run(unpack(call.fargs, 2))
  end
end

--- Complete the command line of `:FimLsp`.
---@param lead string the word before the cursor
---@param line string the whole command line
---@return string[]
function M.complete(lead, line)
  -- Without the range, which may hold blanks.
  local words = vim.split(vim.trim(line:match('FimLsp.*') or line), '%s+')
  if #words == 1 or (#words == 2 and lead ~= '') then
    local names = starting_with(vim.tbl_keys(SUBCOMMANDS), lead)
    table.sort(names)
    return names
  end
  local subcommand = SUBCOMMANDS[words[2]]
  return subcommand and subcommand.complete and subcommand.complete(lead) or {}
end

return M
