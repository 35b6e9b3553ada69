--- Choose who draws ghost text: Neovim (native.lua) or this plugin (ghost.lua). Both have the same
--- functions.

local config = require('fim_lsp.config')
local popup = require('fim_lsp.popup')
local suggestion = require('fim_lsp.suggestion')

---@class fim_lsp.Display
---@field enable fun(bufnr: integer, on: boolean) Request suggestions while the user types, or stop.
---@field current fun(bufnr: integer): fim_lsp.Item? The shown suggestion.
---@field hide fun(bufnr: integer)
---@field request fun(bufnr: integer, kind: lsp.InlineCompletionTriggerKind)
---@field select fun(bufnr: integer, count: integer) Show another of several suggestions.

local M = { INVOKED = 1, AUTOMATIC = 2 }

--- Return the name of the display in use.
---@return 'native'|'ghost'
function M.name()
  if config.options.display ~= 'ghost' and require('fim_lsp.native').usable() then
    return 'native'
  end
  return 'ghost'
end

--- Return who draws, in words.
---@return string
function M.drawn_by()
  return M.name() == 'native' and 'Neovim' or 'the plugin'
end

--- Return the display in use.
---@return fim_lsp.Display
function M.get()
  return require('fim_lsp.' .. M.name())
end

--- Return whether a completion menu is open that gets the keys.
---@return boolean
local function menu_gets_keys()
  if not popup.visible() then
    return false
  end
  return config.options.popup == 'hide' or vim.fn.complete_info({ 'selected' }).selected >= 0
end

--- Return the item at the cursor and its remainder; nil if there is nothing to accept.
---@return fim_lsp.Item?
---@return fim_lsp.Remainder?
function M.at_cursor()
  local row, col = unpack(vim.api.nvim_win_get_cursor(0))
  local item = M.get().current(vim.api.nvim_get_current_buf())
  if not item or item.row ~= row - 1 or menu_gets_keys() then
    return nil
  end
  local remainder = suggestion.remainder(item, vim.api.nvim_get_current_line(), col)
  return remainder and item, remainder
end

--- Hide the suggestion when a completion menu opens, and request one when it closes.
---@param bufnr integer
---@param open boolean
function M.menu_changed(bufnr, open)
  if config.options.popup == 'keep' then
    return
  elseif open and popup.visible() then
    M.get().hide(bufnr)
  elseif vim.startswith(vim.api.nvim_get_mode().mode, 'i') and not popup.visible() then
    M.get().request(bufnr, M.AUTOMATIC)
  end
end

return M
