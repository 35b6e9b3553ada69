--- Where a suggestion stands against the line under the cursor. Pure: strings and byte columns.

---@class fim_lsp.Item
---@field client_id integer
---@field text string What the server would insert, `\n` between lines.
---@field row integer Line it begins in, from 0.
---@field start integer Byte column where it begins.
---@field stop integer Byte column where the text that it replaces ends.
---@field command? lsp.Command

---@class fim_lsp.Rest
---@field text string What is still to be inserted at the cursor.
---@field stop integer Byte column up to which the line is replaced; the cursor's or behind it.

local M = {}

--- What of an item is left once `col` is reached, or nil if the line says something else.
---
--- The server's ranges are those of the moment it was asked; typing goes on meanwhile. At a line's
--- end the range ends at the cursor, wherever that is now. Within a line it is empty, or covers
--- closing brackets, and what was typed since pushes its end along.
---@param item fim_lsp.Item
---@param line string
---@param col integer
---@return fim_lsp.Rest?
function M.rest(item, line, col)
  local typed = line:sub(item.start + 1, col)
  if col < item.start or item.text:sub(1, #typed) ~= typed then
    return nil
  end
  local stop = col == #line and col or item.stop + #typed
  if stop < col or stop > #line or #item.text == #typed then
    return nil
  end
  return { text = item.text:sub(#typed + 1), stop = stop }
end

--- The next word, with the blanks before it and what ends a line.
---@param text string
---@return string
function M.word(text)
  return vim.fn.matchstr(text, [=[^\_s*\%(\k\+\|[^[:keyword:][:space:]]\+\|$\)]=])
end

--- The rest of this line, or the whole next one.
---@param text string
---@return string
function M.line(text)
  return text:match('^\n?[^\n]*')
end

return M
