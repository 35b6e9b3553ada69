--- `:FimLsp` and its verbs.

local client = require('fim_lsp.client')
local config = require('fim_lsp.config')

local M = {}

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
local function say(text)
  vim.notify('fim-lsp: ' .. text)
end

---@param text string
local function complain(text)
  vim.notify('fim-lsp: ' .. text, vim.log.levels.ERROR)
end

--- Run something with the server's client, or say that there is none.
---@param action fun(running: vim.lsp.Client)
local function with_client(action)
  local running = client.get()
  if running then
    action(running)
  else
    complain('no server is running. Open a file, or see :checkhealth fim_lsp.')
  end
end

local function status()
  local now, bufnr = require('fim_lsp.status').get(), vim.api.nvim_get_current_buf()
  if not client.get(bufnr) then
    say(('%s; not attached to this buffer'):format(now.message))
    return
  end
  local on = require('fim_lsp.switch').is_on(bufnr) and 'on' or 'off'
  local who = require('fim_lsp.display').name() == 'native' and 'Neovim' or 'the plugin'
  say(('%s; %s here, drawn by %s'):format(now.message, on, who))
end

---@param scope? string
local function toggle(scope)
  scope = scope or 'all'
  if not vim.list_contains({ 'all', 'language', 'buffer' }, scope) then
    complain(('there is no %s to toggle: all, language or buffer.'):format(scope))
    return
  end
  local on = require('fim_lsp').toggle(scope)
  local where =
    { all = 'everywhere', language = 'for ' .. vim.bo.filetype, buffer = 'in this buffer' }
  say(('%s %s'):format(on and 'on' or 'off', where[scope]))
end

---@param name? string
local function model(name)
  local function use(chosen)
    if chosen then
      client.configure({ model = { name = chosen } })
      say(('the model is %s from now on, until Neovim ends.'):format(chosen))
    end
  end
  if name then
    use(name:match('%.gguf$') and vim.fn.fnamemodify(name, ':p') or name)
    return
  end
  vim.ui.select(require('fim_lsp.models').names(), { prompt = 'Model' }, use)
end

---@param path? string
---@param scale? string
local function adapter(path, scale)
  if not path then
    local adapters = config.options.settings.adapters or {}
    local paths = vim.tbl_map(function(one)
      return ('%s (%s)'):format(vim.fn.fnamemodify(one.path, ':t'), one.scale or 1)
    end, adapters)
    say(#paths > 0 and 'adapters: ' .. table.concat(paths, ', ') or 'no adapter is set.')
    return
  end
  if path == 'none' then
    client.configure({ adapters = {} })
    say('without adapters from now on.')
    return
  end
  local whole = vim.fn.fnamemodify(path, ':p')
  if vim.fn.filereadable(whole) == 0 then
    complain(('there is no file %s.'):format(whole))
    return
  end
  client.configure({ adapters = { { path = whole, scale = tonumber(scale) or 1 } } })
  say(('with %s from now on.'):format(vim.fn.fnamemodify(whole, ':t')))
end

local function explain()
  with_client(function(running)
    client.execute(running, { title = 'Explain', command = 'fimLsp.explain' }, function(result)
      show(require('fim_lsp.explain').lines(result), 'explain')
    end)
  end)
end

local function doctor()
  local command = client.command_line('doctor')
  local chosen = (config.options.settings.model or {}).name
  vim.list_extend(command, chosen and { '--model', chosen } or {})
  vim.cmd('botright new')
  if vim.fn.has('nvim-0.11') == 1 then
    vim.fn.jobstart(command, { term = true })
  else
    vim.fn.termopen(command)
  end
end

local function log()
  local lines = require('fim_lsp.log').lines()
  lines[#lines + 1] = 'Neovim keeps what the server wrote to stderr in ' .. vim.lsp.get_log_path()
  show(lines, 'log')
  vim.cmd('normal! G')
end

---@class fim_lsp.Verb
---@field run fun(...: string)
---@field complete? fun(lead: string): string[]

---@param words string[]
---@param lead string
---@return string[]
local function starting_with(words, lead)
  return vim.tbl_filter(function(word)
    return vim.startswith(word, lead)
  end, words)
end

---@param lead string
---@return string[]
local function gguf_files(lead)
  return vim.tbl_filter(function(path)
    return path:match('%.gguf$') ~= nil or vim.fn.isdirectory(path) == 1
  end, vim.fn.getcompletion(lead, 'file'))
end

---@type table<string, fim_lsp.Verb>
local VERBS = {
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
  doctor = { run = doctor },
  log = { run = log },
}

---@param call vim.api.keyset.create_user_command.command_args
function M.run(call)
  local name = call.fargs[1] or 'status'
  local verb = VERBS[name]
  if not verb then
    complain(('there is no :FimLsp %s. See :help :FimLsp.'):format(name))
    return
  end
  verb.run(unpack(call.fargs, 2))
end

---@param lead string
---@param line string
---@return string[]
function M.complete(lead, line)
  local words = vim.split(vim.trim(line), '%s+')
  if #words == 1 or (#words == 2 and lead ~= '') then
    local names = starting_with(vim.tbl_keys(VERBS), lead)
    table.sort(names)
    return names
  end
  local verb = VERBS[words[2]]
  return verb and verb.complete and verb.complete(lead) or {}
end

return M
