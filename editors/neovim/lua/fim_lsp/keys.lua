--- Keys of insert mode. Each does what it did before wherever there is nothing to accept.

local config = require('fim_lsp.config')
local display = require('fim_lsp.display')

local MARK = 'fim-lsp: '

local M = {}

---@param name string of a function of the plugin
---@param ... any its arguments
---@return fun()
local function plugin(name, ...)
  local arguments = { ... }
  return function()
    require('fim_lsp')[name](unpack(arguments))
  end
end

---@type table<string, { desc: string, run: fun(), always?: boolean }>
local ACTIONS = {
  accept = { desc = 'accept the suggestion', run = plugin('accept') },
  accept_word = { desc = 'accept its next word', run = plugin('accept_word') },
  accept_line = { desc = 'accept its next line', run = plugin('accept_line') },
  next = { desc = 'next suggestion', run = plugin('select', 1) },
  previous = { desc = 'previous suggestion', run = plugin('select', -1) },
  dismiss = { desc = 'dismiss the suggestion', run = plugin('dismiss') },
  trigger = { desc = 'suggest something', run = plugin('trigger'), always = true },
}

--- Keep what a key did under a name of its own.
---@param bufnr integer
---@param key string
---@param former table as of maparg(), empty if the key was not mapped
---@param name string
local function keep(bufnr, key, former, name)
  if next(former) == nil then
    vim.keymap.set('i', name, key, { buffer = bufnr, remap = false })
    return
  end
  local copy =
    vim.tbl_extend('force', former, { lhs = name, lhsraw = vim.keycode(name), buffer = 1 })
  copy.lhsrawalt = nil
  vim.fn.mapset('i', false, copy)
end

---@param bufnr integer
---@param name string
---@param key string
local function map(bufnr, name, key)
  local action = ACTIONS[name]
  local former = vim.fn.maparg(key, 'i', false, true)
  if vim.startswith(former.desc or '', MARK) then
    return
  end
  local before = ('<Plug>(fim_lsp.before.%s)'):format(name)
  keep(bufnr, key, former, before)
  -- Not an expression: Neovim may evaluate those before the key that was typed just before has its
  -- effect, and so with a suggestion that no longer fits.
  vim.keymap.set('i', key, function()
    if action.always or display.at_cursor() then
      action.run()
    else
      vim.api.nvim_feedkeys(vim.keycode(before), 'im', false)
    end
  end, { buffer = bufnr, desc = MARK .. action.desc })
end

--- Map the keys of the options in a buffer, once.
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
