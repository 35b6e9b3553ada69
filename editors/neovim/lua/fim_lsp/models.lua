--- The models that the server's own command line knows.

local client = require('fim_lsp.client')

local M = {}

local PATIENCE_MS = 10000

--- Names from `fim-lsp model list`; empty if it can't be run.
---@return string[]
function M.names()
  local started, process = pcall(vim.system, client.command_line('model', 'list'), {
    text = true,
    env = { COLUMNS = '200', NO_COLOR = '1' },
  })
  local done = started and process:wait(PATIENCE_MS) or { code = 1 }
  if done.code ~= 0 then
    return {}
  end
  return vim
    .iter(vim.split(done.stdout, '\n', { trimempty = true }))
    :skip(1)
    -- Files that no catalog names are chosen by their path, which this list does not say.
    :filter(
      function(line)
        return line:match('^%S') ~= nil and not line:match('by path%)%s*$')
      end
    )
    :map(function(line)
      return line:match('^%S+')
    end)
    :totable()
end

return M
