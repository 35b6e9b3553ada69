--- Compare a suggestion with the line at the cursor. Pure functions of strings and byte columns.

---@class fim_lsp.Item
---@field client_id integer
---@field text string The text to insert, with `\n` between lines.
---@field row integer Line where it begins, from 0.
---@field start integer Byte column where it begins.
---@field stop integer Byte column where the text that it replaces ends.
---@field command? lsp.Command Command to run once the whole item was accepted.

---@class fim_lsp.Remainder The part of an item that is not typed yet.
---@field text string The text to insert at the cursor.
---@field stop integer Byte column up to which the line is replaced; at the cursor or behind it.

local M = {}

--- Return an item's remainder at the byte column `col`, or nil if the line has other text there.
---
--- The server's range is that of the request, and the user has typed on since. At the end of a line
--- the range ends at the cursor. Within a line it is empty or covers closing brackets, and its end
--- moves by the number of typed bytes.
---
--- Example: for `print(` the item is `print(name)`. After `print(na` the remainder is `me)`.
---@param item fim_lsp.Item
---@param line string
---@param col integer
---@return fim_lsp.Remainder?
function M.remainder(item, line, col)
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

--- Return the next word with the white space before it: ` a, b` gives ` a`.
---@param text string
---@return string
function M.next_word(text)
  return vim.fn.matchstr(text, [=[^\_s*\%(\k\+\|[^[:keyword:][:space:]]\+\|$\)]=])
end

--- Return the remainder of this line, or else the whole next line.
---@param text string
---@return string
function M.next_line(text)
  return text:match('^\n?[^\n]*')
end

return M
