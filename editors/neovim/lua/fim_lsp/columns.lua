--- Byte columns, as Neovim counts them, and the server's, in the encoding that was agreed on.

local M = {}

-- Neovim 0.11 changed the arguments of both functions.
local names_encoding = vim.fn.has('nvim-0.11') == 1

---@param line string
---@param col integer in bytes
---@param encoding 'utf-8'|'utf-16'|'utf-32'
---@return integer
function M.to_server(line, col, encoding)
  if encoding == 'utf-8' then
    return col
  elseif names_encoding then
    return vim.str_utfindex(line, encoding, col, false)
  end
  local utf32, utf16 = vim.str_utfindex(line, math.min(col, #line))
  return encoding == 'utf-32' and utf32 or utf16
end

---@param line string
---@param character integer in units of the encoding
---@param encoding 'utf-8'|'utf-16'|'utf-32'
---@return integer
function M.to_bytes(line, character, encoding)
  if encoding == 'utf-8' then
    return math.min(character, #line)
  elseif names_encoding then
    return vim.str_byteindex(line, encoding, character, false)
  end
  local utf32, utf16 = vim.str_utfindex(line)
  local utf16_wanted = encoding ~= 'utf-32'
  local longest = utf16_wanted and utf16 or utf32
  return vim.str_byteindex(line, math.min(character, longest), utf16_wanted)
end

return M
