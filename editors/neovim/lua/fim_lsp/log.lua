--- The server's log and messages: kept for `:FimLsp log`, and shown in one line.

local M = {}

local MAX_LINES = 2000
---@type string[] names by LSP's MessageType
local LEVELS = { 'ERROR', 'WARN', 'INFO', 'LOG', 'DEBUG' }
---@type table<integer, integer> vim.log.levels by LSP's MessageType
local NOTIFY = { vim.log.levels.ERROR, vim.log.levels.WARN, vim.log.levels.INFO }

---@type string[]
local lines = {}

--- Append a text to the log.
---@param kind lsp.MessageType
---@param text string
function M.add(kind, text)
  local stamp = os.date('%H:%M:%S')
  for _, line in ipairs(vim.split(vim.trim(text), '\n', { plain = true })) do
    lines[#lines + 1] = ('%s %-5s %s'):format(stamp, LEVELS[kind] or 'LOG', line)
  end
  if #lines > MAX_LINES then
    lines = vim.list_slice(lines, #lines - MAX_LINES + 1)
  end
end

--- Show a message in one line, and append it to the log.
---
--- A longer one would stop the editor with "Press ENTER" while the user types.
---@param kind lsp.MessageType
---@param text string
function M.notify(kind, text)
  M.add(kind, text)
  local line = ('fim-lsp: %s'):format(text:gsub('%s*\n.*', ' …'))
  local room = vim.o.columns * math.max(vim.o.cmdheight, 1) - 14
  if vim.fn.strdisplaywidth(line) > room then
    local more = ' … :FimLsp log'
    line = vim.fn.strcharpart(line, 0, math.max(room - #more, 20)) .. more
  end
  vim.schedule(function()
    vim.notify(line, NOTIFY[kind] or vim.log.levels.INFO)
  end)
end

--- Return a copy of the log.
---@return string[]
function M.lines()
  return vim.list_slice(lines)
end

return M
