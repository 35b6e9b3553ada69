--- fim-lsp for Neovim 0.10 to 0.12: local fill-in-the-middle suggestions as ghost text.
---
--- `require('fim_lsp').setup()` starts it. Every function here may be mapped. See |fim-lsp|.

local M = {}

local api = vim.api

--- Map the keys in a buffer that the server was attached to, and show suggestions there.
---@param bufnr integer
local function on_attach(bufnr)
  local display, switch = require('fim_lsp.display'), require('fim_lsp.switch')
  require('fim_lsp.keys').map(bufnr)
  if vim.g.fim_lsp_enabled == false then
    switch.send()
  end
  display.get().enable(bufnr, switch.is_on(bufnr))
end

--- Request a suggestion at the cursor, when the server has become ready after the last keystroke.
local function catch_up()
  local bufnr = api.nvim_get_current_buf()
  local display = require('fim_lsp.display')
  local typing = vim.startswith(api.nvim_get_mode().mode, 'i')
  if typing and require('fim_lsp.switch').is_on(bufnr) and not display.at_cursor() then
    display.get().request(bufnr, display.AUTOMATIC)
  end
end

--- Define the colours of ghost text, unless the theme has them.
local function define_highlight()
  -- A grey with enough contrast on light and dark backgrounds. ctermfg, because terminals without
  -- 'termguicolors' would show it like any other text.
  local grey = { fg = '#767676', ctermfg = 243, italic = true, default = true }
  api.nvim_set_hl(0, 'FimLspGhost', grey)
  -- If no theme defines it, Neovim draws ghost text as NonText, which is hard to read (0.12.4).
  if api.nvim_get_hl(0, { name = 'ComplHint' }).link == 'NonText' then
    api.nvim_set_hl(0, 'ComplHint', { link = 'FimLspGhost' })
  end
end

--- Create the autocommands.
---@param group integer
local function create_autocmds(group)
  local client = require('fim_lsp.client')
  ---@param event string
  ---@param desc string
  ---@param callback fun(event: vim.api.keyset.create_autocmd.callback_args)
  ---@param pattern? string
  local function on(event, desc, callback, pattern)
    api.nvim_create_autocmd(event, {
      group = group,
      pattern = pattern,
      desc = 'fim-lsp: ' .. desc,
      callback = callback,
    })
  end
  ---@param event { data: { client_id: integer } }
  ---@return boolean
  local function is_ours(event)
    local server = vim.lsp.get_client_by_id(event.data.client_id)
    return server ~= nil and server.name == client.name
  end
  on('LspAttach', 'attach', function(event)
    if is_ours(event) then
      on_attach(event.buf)
    end
  end)
  on('LspDetach', 'hide', function(event)
    if is_ours(event) then
      require('fim_lsp.display').get().hide(event.buf)
    end
  end)
  on('LspProgress', 'loading', function(event)
    if is_ours(event) then
      require('fim_lsp.status').progress(event.data.params.value)
    end
  end)
  on('LspRequest', 'redraw the statusline', function(event)
    if is_ours(event) then
      vim.cmd.redrawstatus()
    end
  end)
  on('User', 'request a suggestion', catch_up, 'FimLspReady')
  on('ColorScheme', 'colour', define_highlight)
  require('fim_lsp.cursor').watch(group)
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
  create_autocmds(api.nvim_create_augroup('fim_lsp', {}))
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
---@param count integer 1 for the next, -1 for the previous
function M.select(count)
  require('fim_lsp.display').get().select(api.nvim_get_current_buf(), count)
end

--- Hide the suggestion, and tell the server that the user refused it: it is not shown at this place
--- again. The next keystroke requests another.
function M.dismiss()
  local bufnr = api.nvim_get_current_buf()
  local client, display = require('fim_lsp.client'), require('fim_lsp.display')
  local server, item = client.get(bufnr), display.at_cursor()
  display.get().hide(bufnr)
  if server and item then
    client.notify(server, 'fimLsp/dismissed', { uri = vim.uri_from_bufnr(bufnr) })
  end
end

--- Request a suggestion at the cursor. It may be longer than those that come while typing.
function M.trigger()
  local display, bufnr = require('fim_lsp.display'), api.nvim_get_current_buf()
  if require('fim_lsp.switch').is_on(bufnr) then
    display.get().request(bufnr, display.INVOKED)
  end
end

--- Turn suggestions on or off, everywhere, for this file's language, or for this buffer.
---@param scope? fim_lsp.Scope
---@param on? boolean nil to flip it
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
