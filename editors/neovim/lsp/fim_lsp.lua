--- The server as Neovim 0.11 and newer know one: works alone, without the plugin around it.
---
--- Copied to `~/.config/nvim/lsp/fim_lsp.lua` it needs `vim.lsp.enable('fim_lsp')`, and in Neovim
--- 0.12 `vim.lsp.inline_completion.enable()`. See |fim-lsp-alone|.

---@type vim.lsp.Config
return {
  cmd = { 'fim-lsp', '--stdio' },
  root_markers = { '.git' },
  -- Each server holds a model in memory, so one serves every project.
  reuse_client = function(client, config)
    return client.name == config.name
  end,
}
