--- Keys of insert mode. A key does what it did before if there is nothing to accept.

local config = require('fim_lsp.config')
local display = require('fim_lsp.display')

local MARK = 'fim-lsp: '

local M = {}

--- Return a function that calls one of the plugin's functions.
---@param name string
---@param ... any arguments
---@return fun()
local function plugin(name, ...)
  local arguments = { ... }
  return function()
    require('fim_lsp')[name](unpack(arguments))
  end
end

-- `always`: even if no suggestion is shown.
---@type table<string, { desc: string, run: fun(), always?: boolean }>
local ACTIONS = {
  accept = { desc = 'accept the suggestion', run = plugin('accept') },
  accept_word = { desc = 'accept its next word', run = plugin('accept_word') },
  accept_line = { desc = 'accept its next line', run = plugin('accept_line') },
  next = { desc = 'next suggestion', run = plugin('select', 1) },
  previous = { desc = 'previous suggestion', run = plugin('select', -1) },
  dismiss = { desc = 'dismiss the suggestion', run = plugin('dismiss') },
  trigger = { desc = 'request a suggestion', run = plugin('trigger'), always = true },
}

--- Map `fallback` to what a key did before.
---@param bufnr integer
---@param key string
---@param former table<string, any> from maparg(); empty if the key was not mapped
---@param fallback string
local function keep_former(bufnr, key, former, fallback)
  if next(former) == nil then
    vim.keymap.set('i', fallback, key, { buffer = bufnr, remap = false })
    return
  end
  local copy =
    vim.tbl_extend('force', former, { lhs = fallback, lhsraw = vim.keycode(fallback), buffer = 1 })
  copy.lhsrawalt = nil
  vim.fn.mapset('i', false, copy)
end

--- Map one key, unless it is mapped already.
---@param bufnr integer
---@param name string a name in ACTIONS
---@param key string
local function map(bufnr, name, key)
  local action = ACTIONS[name]
  local former = vim.fn.maparg(key, 'i', false, true)
  if vim.startswith(former.desc or '', MARK) then
    return
  end
  local fallback = ('<Plug>(fim_lsp.before.%s)'):format(name)
  keep_former(bufnr, key, former, fallback)
  -- Not an expression mapping: Neovim may evaluate one before the previous key has had its effect,
  -- and would then accept a suggestion that no longer fits.
  vim.keymap.set('i', key, function()
    if action.always or display.at_cursor() then
      action.run()
    else
      vim.api.nvim_feedkeys(vim.keycode(fallback), 'im', false)
    end
  end, { buffer = bufnr, desc = MARK .. action.desc })
end

--- Map the keys of the options in a buffer.
---@param bufnr integer
function M.map(bufnr)
  vim.api.nvim_buf_call(bufnr, function()
    for name, key in pairs(config.options.keys) do
      if key then
        map(bufnr, name, key)
      end
    end
  end)
end

return M
