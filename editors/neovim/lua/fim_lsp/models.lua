--- The catalog of models, from `fim-lsp model list --json`.

local cli = require('fim_lsp.cli')

local M = {}

--- Return the names of the catalog's models; empty if the server's program can't be run.
---@return string[]
function M.names()
  return vim.tbl_map(function(model)
    return model.name
  end, cli.json('model', 'list') or {})
end

return M
