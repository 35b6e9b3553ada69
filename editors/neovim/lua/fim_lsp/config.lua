--- The plugin's options: defaults, and what `setup` was given, checked before anything starts.

---@class fim_lsp.Keys
---@field accept? string|false The whole suggestion.
---@field accept_word? string|false Its next word.
---@field accept_line? string|false Its next line.
---@field next? string|false The next of several suggestions.
---@field previous? string|false The one before.
---@field dismiss? string|false Take the suggestion away.
---@field trigger? string|false Ask for a suggestion by hand.

---@class fim_lsp.Options
---@field cmd? string[] Command line of the server.
---@field filetypes? string[] Where to attach; nil for every file.
---@field settings? fim_lsp.ServerSettings Settings of the server, as in its README.
---@field display? 'auto'|'native'|'ghost' Who draws: Neovim, where it can, or this plugin.
---@field popup? 'hide'|'keep' Ghost text while a completion menu is open.
---@field restarts? integer Most restarts within three minutes after crashes.
---@field keys? fim_lsp.Keys

local M = {}

---@type fim_lsp.Options
M.defaults = {
  cmd = { 'fim-lsp', '--stdio' },
  filetypes = nil,
  settings = {},
  display = 'auto',
  popup = 'hide',
  restarts = 4,
  keys = {
    accept = '<Tab>',
    accept_word = '<M-Right>',
    accept_line = '<M-Down>',
    next = '<M-]>',
    previous = '<M-[>',
    dismiss = '<C-]>',
    trigger = '<M-Bslash>',
  },
}

---@type fim_lsp.Options
M.options = vim.deepcopy(M.defaults)

---@param value any
---@return boolean
local function strings(value)
  if type(value) ~= 'table' or #value == 0 then
    return false
  end
  return vim.iter(value):all(function(item)
    return type(item) == 'string'
  end)
end

---@param ... string
---@return fun(value: any): boolean
local function one_of(...)
  local allowed = { ... }
  return function(value)
    return vim.list_contains(allowed, value)
  end
end

---@param wanted string
---@return fun(value: any): boolean
local function of_type(wanted)
  return function(value)
    return type(value) == wanted
  end
end

---@type table<string, { expected: string, good: fun(value: any): boolean }>
local CHECKS = {
  cmd = { expected = 'a list of strings', good = strings },
  filetypes = { expected = 'a list of strings', good = strings },
  settings = { expected = 'a table', good = of_type('table') },
  display = { expected = "'auto', 'native' or 'ghost'", good = one_of('auto', 'native', 'ghost') },
  popup = { expected = "'hide' or 'keep'", good = one_of('hide', 'keep') },
  restarts = { expected = 'a number', good = of_type('number') },
  keys = { expected = 'a table', good = of_type('table') },
}

---@param options table
---@return string[] problems
local function problems_of(options)
  local problems = {}
  for name, value in vim.spairs(options) do
    local check = CHECKS[name]
    if not check then
      problems[#problems + 1] = ('there is no option %s'):format(name)
    elseif not check.good(value) then
      problems[#problems + 1] = ('%s must be %s'):format(name, check.expected)
    end
  end
  for name, key in vim.spairs(type(options.keys) == 'table' and options.keys or {}) do
    if M.defaults.keys[name] == nil then
      problems[#problems + 1] = ('there is no key keys.%s'):format(name)
    elseif key ~= false and type(key) ~= 'string' then
      problems[#problems + 1] = ('keys.%s must be a key or false'):format(name)
    end
  end
  return problems
end

--- Take the user's options over the defaults. Raises an error that names every bad one.
---@param options? fim_lsp.Options
function M.set(options)
  local problems = problems_of(options or {})
  if #problems > 0 then
    error('fim-lsp: ' .. table.concat(problems, '; ') .. '. See :help fim-lsp-options.', 0)
  end
  M.options = vim.tbl_deep_extend('force', M.defaults, options or {})
end

return M
