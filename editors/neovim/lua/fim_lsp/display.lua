--- The display in use: Neovim's own or this plugin's. Both have the same functions.

local config = require('fim_lsp.config')
local popup = require('fim_lsp.popup')
local suggestion = require('fim_lsp.suggestion')

---@class fim_lsp.Display
---@field enable fun(bufnr: integer, on: boolean)
---@field current fun(bufnr: integer): fim_lsp.Item?
---@field hide fun(bufnr: integer)
---@field request fun(bufnr: integer, kind: lsp.InlineCompletionTriggerKind)
---@field select fun(bufnr: integer, count: integer)

local M = { INVOKED = 1, AUTOMATIC = 2 }

---@return 'native'|'ghost'
function M.name()
  local wanted = config.options.display
  if wanted ~= 'ghost' and require('fim_lsp.native').usable() then
    return 'native'
  end
  return 'ghost'
end

---@return fim_lsp.Display
function M.get()
  return require('fim_lsp.' .. M.name())
end

---@return boolean whether keys belong to a completion menu now
local function menu_has_keys()
  if not popup.visible() then
    return false
  end
  return config.options.popup == 'hide' or vim.fn.complete_info({ 'selected' }).selected >= 0
end

--- The item at the cursor and what is left of it; nil where nothing is to be accepted.
---@return fim_lsp.Item?
---@return fim_lsp.Rest?
function M.at_cursor()
  local row, col = unpack(vim.api.nvim_win_get_cursor(0))
  local item = M.get().current(vim.api.nvim_get_current_buf())
  if not item or item.row ~= row - 1 or menu_has_keys() then
    return nil
  end
  local rest = suggestion.rest(item, vim.api.nvim_get_current_line(), col)
  return rest and item, rest
end

--- Make room for a completion menu that opened, and come back when it closed.
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
