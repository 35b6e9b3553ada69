--- The plugin's options: the defaults, and those of `setup`, checked before anything starts.

---@class fim_lsp.Keys Keys of insert mode; false leaves a key alone.
---@field accept? string|false Accept the whole suggestion.
---@field accept_word? string|false Accept its next word.
---@field accept_line? string|false Accept its next line.
---@field next? string|false Show the next of several suggestions.
---@field previous? string|false Show the previous one.
---@field dismiss? string|false Hide the suggestion.
---@field trigger? string|false Ask for a suggestion by hand.

---@class fim_lsp.Options
---@field cmd? string[] Command line that starts the server.
---@field filetypes? string[] Filetypes to attach to; nil for every file.
---@field settings? fim_lsp.ServerSettings The server's own settings.
---@field display? 'auto'|'native'|'ghost' Who draws: Neovim (native) or this plugin (ghost).
---@field popup? 'hide'|'keep' What happens to ghost text while a completion menu is open.
---@field restarts? integer Most restarts after crashes within three minutes.
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

---@type fim_lsp.Options the defaults with the user's options over them
M.options = vim.deepcopy(M.defaults)

---@param value any
---@return boolean
local function is_list_of_strings(value)
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

---@param expected type
---@return fun(value: any): boolean
local function of_type(expected)
  return function(value)
    return type(value) == expected
  end
end

---@type table<string, { expected: string, is_valid: fun(value: any): boolean }>
local CHECKS = {
  cmd = { expected = 'a list of strings', is_valid = is_list_of_strings },
  filetypes = { expected = 'a list of strings', is_valid = is_list_of_strings },
  settings = { expected = 'a table', is_valid = of_type('table') },
  display = {
    expected = "'auto', 'native' or 'ghost'",
    is_valid = one_of('auto', 'native', 'ghost'),
  },
  popup = { expected = "'hide' or 'keep'", is_valid = one_of('hide', 'keep') },
  restarts = { expected = 'a number', is_valid = of_type('number') },
  keys = { expected = 'a table', is_valid = of_type('table') },
}

--- List what is wrong with the user's options.
---@param options table
---@return string[] problems
local function find_problems(options)
  local problems = {}
  for name, value in vim.spairs(options) do
    local check = CHECKS[name]
    if not check then
      problems[#problems + 1] = ('there is no option %s'):format(name)
    elseif not check.is_valid(value) then
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

--- Set the user's options. Raise an error that names every invalid one.
---@param options? fim_lsp.Options
function M.set(options)
  local problems = find_problems(options or {})
  if #problems > 0 then
    error('fim-lsp: ' .. table.concat(problems, '; ') .. '. See :help fim-lsp-options.', 0)
  end
  M.options = vim.tbl_deep_extend('force', M.defaults, options or {})
end

--- Return the model that the user's options name, or nil.
---@return string?
function M.model_name()
  return (M.options.settings.model or {}).name
end

return M
