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
  local cmp = package.loaded['cmp']
  if type(cmp) == 'table' and cmp.event then
    cmp.event:on('menu_opened', function()
      changed(true)
    end)
    cmp.event:on('menu_closed', function()
      changed(false)
    end)
  end
end

return M
