--- Completion menus: Neovim's own, and those that nvim-cmp and blink.cmp draw.

local M = {}

--- Return whether a menu is open. A menu plugin is not loaded just to find out.
---@return boolean
function M.visible()
  if vim.fn.pumvisible() == 1 then
    return true
  end
  local cmp, blink = package.loaded['cmp'], package.loaded['blink.cmp']
  if type(cmp) == 'table' and cmp.visible and cmp.visible() then
    return true
  end
  return type(blink) == 'table' and blink.is_menu_visible ~= nil and blink.is_menu_visible() == true
end

--- Listen to nvim-cmp if it is loaded.
---@param on_change fun(open: boolean)
---@return boolean loaded
local function listen_to_cmp(on_change)
  local cmp = package.loaded['cmp']
  if type(cmp) ~= 'table' or not cmp.event then
    return false
  end
  for event, open in pairs({ menu_opened = true, menu_closed = false }) do
    -- Scheduled, because the menu still counts as visible while this event is handled.
    cmp.event:on(
      event,
      vim.schedule_wrap(function()
        on_change(open)
      end)
    )
  end
  return true
end

--- Call a function with true when a menu has opened, and with false when it has closed.
---@param group integer autocommand group
---@param on_change fun(open: boolean)
function M.watch(group, on_change)
  ---@param event string
  ---@param open boolean
  ---@param pattern? string
  local function on(event, open, pattern)
    vim.api.nvim_create_autocmd(event, {
      group = group,
      pattern = pattern,
      desc = 'fim-lsp: hide ghost text while a menu is open',
      callback = vim.schedule_wrap(function()
        on_change(open)
      end),
    })
  end
  on('CompleteChanged', true)
  on('CompleteDone', false)
  on('User', true, 'BlinkCmpMenuOpen')
  on('User', false, 'BlinkCmpMenuClose')
  if listen_to_cmp(on_change) then
    return
  end
  ---@type integer? the autocommand; nil once nvim-cmp was found
  local autocmd
  autocmd = vim.api.nvim_create_autocmd('InsertEnter', {
    group = group,
    -- Plugin managers often load nvim-cmp in this event, so the callback runs after the others.
    desc = 'fim-lsp: find nvim-cmp',
    callback = vim.schedule_wrap(function()
      if autocmd and listen_to_cmp(on_change) then
        vim.api.nvim_del_autocmd(autocmd)
        autocmd = nil
      end
    end),
  })
end

return M
