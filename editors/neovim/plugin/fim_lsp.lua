vim.api.nvim_create_user_command('FimLsp', function(call)
  require('fim_lsp.commands').run(call)
end, {
  nargs = '*',
  range = true,
  desc = 'fim-lsp: status, toggle, model, adapter, explain, expected, doctor, log',
  complete = function(...)
    return require('fim_lsp.commands').complete(...)
  end,
})
