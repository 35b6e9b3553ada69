--- Completion menus: Neovim's own, and those that nvim-cmp and blink.cmp draw themselves.

local M = {}

--- Whether a menu is open. Only plugins that are loaded already are asked.
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
---@param changed fun(open: boolean)
---@return boolean loaded
local function listen_to_cmp(changed)
  local cmp = package.loaded['cmp']
  if type(cmp) ~= 'table' or not cmp.event then
    return false
  end
  for event, open in pairs({ menu_opened = true, menu_closed = false }) do
    -- Later: while nvim-cmp says that its menu closed, it still calls it visible.
    cmp.event:on(
      event,
      vim.schedule_wrap(function()
        changed(open)
      end)
    )
  end
  return true
end

--- Call back when a menu has opened, with true, or closed, with false.
---@param group integer
---@param changed fun(open: boolean)
function M.watch(group, changed)
  local function on(event, open, pattern)
    vim.api.nvim_create_autocmd(event, {
      group = group,
      pattern = pattern,
      desc = 'fim-lsp: ghost text makes room for a menu',
      callback = vim.schedule_wrap(function()
        changed(open)
      end),
    })
  end
  on('CompleteChanged', true)
  on('CompleteDone', false)
  on('User', true, 'BlinkCmpMenuOpen')
  on('User', false, 'BlinkCmpMenuClose')
  if listen_to_cmp(changed) then
    return
  end
  local waiting
  waiting = vim.api.nvim_create_autocmd('InsertEnter', {
    group = group,
    desc = 'fim-lsp: find nvim-cmp, which many load only now',
    -- Later, when whatever loads it has had its turn.
    callback = vim.schedule_wrap(function()
      if waiting and listen_to_cmp(changed) then
        vim.api.nvim_del_autocmd(waiting)
        waiting = nil
      end
    end),
  })
end

return M
