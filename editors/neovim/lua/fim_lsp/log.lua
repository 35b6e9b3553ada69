--- What the server logs and says: kept for `:FimLsp log`, shown without ever asking for <Enter>.

local M = {}

local MOST_LINES = 2000
local LEVELS = { 'ERROR', 'WARN', 'INFO', 'LOG', 'DEBUG' }
local NOTIFY = { vim.log.levels.ERROR, vim.log.levels.WARN, vim.log.levels.INFO }

---@type string[]
local lines = {}

---@param kind integer LSP's MessageType
---@param text string
function M.add(kind, text)
  local stamp = os.date('%H:%M:%S')
  for _, line in ipairs(vim.split(vim.trim(text), '\n', { plain = true })) do
    lines[#lines + 1] = ('%s %-5s %s'):format(stamp, LEVELS[kind] or 'LOG', line)
  end
  if #lines > MOST_LINES then
    lines = vim.list_slice(lines, #lines - MOST_LINES + 1)
  end
end

--- Show a message in one line; the whole of it is in the log.
---
--- A longer one would stop the editor with "Press ENTER" in the middle of typing.
---@param kind integer LSP's MessageType
---@param text string
function M.tell(kind, text)
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

---@return string[]
function M.lines()
  return vim.list_slice(lines)
end

return M
