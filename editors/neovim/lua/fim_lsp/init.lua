--- fim-lsp for Neovim 0.10 to 0.12: local fill-in-the-middle suggestions as ghost text.
---
--- `require('fim_lsp').setup()` starts it; every function here may be mapped. See |fim-lsp|.

local M = {}

local api = vim.api

---@param bufnr integer
local function attached(bufnr)
  local display, switch = require('fim_lsp.display'), require('fim_lsp.switch')
  require('fim_lsp.keys').map(bufnr)
  if vim.g.fim_lsp_enabled == false then
    switch.tell()
  end
  display.get().enable(bufnr, switch.is_on(bufnr))
end

--- Ask where the cursor stands: a server that is ready only now missed the last keystroke.
local function catch_up()
  local bufnr = api.nvim_get_current_buf()
  local display = require('fim_lsp.display')
  local typing = vim.startswith(api.nvim_get_mode().mode, 'i')
  if typing and require('fim_lsp.switch').is_on(bufnr) and not display.at_cursor() then
    display.get().request(bufnr, display.AUTOMATIC)
  end
end

local function define_highlight()
  -- A grey with enough contrast on light and dark. ctermfg, because terminals without
  -- 'termguicolors' would show it like any other text.
  local grey = { fg = '#767676', ctermfg = 243, italic = true, default = true }
  api.nvim_set_hl(0, 'FimLspGhost', grey)
  -- Where Neovim draws and no theme says how, it takes NonText, which is hard to read (0.12.4).
  if api.nvim_get_hl(0, { name = 'ComplHint' }).link == 'NonText' then
    api.nvim_set_hl(0, 'ComplHint', { link = 'FimLspGhost' })
  end
end

---@param group integer
local function listen(group)
  local client = require('fim_lsp.client')
  local function on(event, desc, callback, pattern)
    api.nvim_create_autocmd(event, {
      group = group,
      pattern = pattern,
      desc = 'fim-lsp: ' .. desc,
      callback = callback,
    })
  end
  ---@param event { data: { client_id: integer } }
  local function ours(event)
    local from = vim.lsp.get_client_by_id(event.data.client_id)
    return from ~= nil and from.name == client.name
  end
  on('LspAttach', 'attach', function(event)
    if ours(event) then
      attached(event.buf)
    end
  end)
  on('LspDetach', 'hide', function(event)
    if ours(event) then
      require('fim_lsp.display').get().hide(event.buf)
    end
  end)
  on('LspProgress', 'loading', function(event)
    if ours(event) then
      require('fim_lsp.status').progress(event.data.params.value)
    end
  end)
  on('LspRequest', 'busy or not', function(event)
    if ours(event) then
      vim.cmd.redrawstatus()
    end
  end)
  on('User', 'catch up', catch_up, 'FimLspReady')
  on('ColorScheme', 'colour', define_highlight)
  require('fim_lsp.popup').watch(group, function(open)
    local bufnr = api.nvim_get_current_buf()
    if client.get(bufnr) and require('fim_lsp.switch').is_on(bufnr) then
      require('fim_lsp.display').menu_changed(bufnr, open)
    end
  end)
end

--- Start the server and show its suggestions.
---@param options? fim_lsp.Options
function M.setup(options)
  require('fim_lsp.config').set(options)
  define_highlight()
  listen(api.nvim_create_augroup('fim_lsp', {}))
  require('fim_lsp.client').start()
end

--- Accept the suggestion.
---@return boolean accepted
function M.accept()
  return require('fim_lsp.accept').all()
end

--- Accept the suggestion's next word.
---@return boolean accepted
function M.accept_word()
  return require('fim_lsp.accept').word()
end

--- Accept the suggestion's next line.
---@return boolean accepted
function M.accept_line()
  return require('fim_lsp.accept').line()
end

--- Show another of several suggestions.
---@param count integer 1 for the next, -1 for the one before
function M.select(count)
  require('fim_lsp.display').get().select(api.nvim_get_current_buf(), count)
end

--- Take the suggestion away until more is typed.
function M.dismiss()
  require('fim_lsp.display').get().hide(api.nvim_get_current_buf())
end

--- Ask for a suggestion at the cursor, longer than those that come while typing.
function M.trigger()
  local display, bufnr = require('fim_lsp.display'), api.nvim_get_current_buf()
  if require('fim_lsp.switch').is_on(bufnr) then
    display.get().request(bufnr, display.INVOKED)
  end
end

--- Turn suggestions on or off, everywhere, for this file's language, or for this buffer.
---@param scope? fim_lsp.Scope
---@param on? boolean nil for the other way round
---@return boolean on
function M.toggle(scope, on)
  return require('fim_lsp.switch').toggle(scope or 'all', on)
end

--- Change the server's settings while it runs.
---@param settings fim_lsp.ServerSettings
function M.configure(settings)
  require('fim_lsp.client').configure(settings)
end

return M
