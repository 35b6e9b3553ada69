--- Convert between Neovim's byte columns and the server's columns, in the client's encoding.

local M = {}

-- Neovim 0.11 changed the arguments of both functions.
local takes_encoding = vim.fn.has('nvim-0.11') == 1

---@alias fim_lsp.Encoding 'utf-8'|'utf-16'|'utf-32'

--- Convert a byte column to the server's column.
---@param line string
---@param col integer in bytes
---@param encoding fim_lsp.Encoding
---@return integer character in units of the encoding
function M.to_server(line, col, encoding)
  if encoding == 'utf-8' then
    return col
  elseif takes_encoding then
    return vim.str_utfindex(line, encoding, col, false)
  end
  local utf32, utf16 = vim.str_utfindex(line, math.min(col, #line))
  return encoding == 'utf-32' and utf32 or utf16
end

--- Convert the server's column to a byte column, at most the line's length.
---@param line string
---@param character integer in units of the encoding
---@param encoding fim_lsp.Encoding
---@return integer col in bytes
function M.to_bytes(line, character, encoding)
  if encoding == 'utf-8' then
    return math.min(character, #line)
  elseif takes_encoding then
    return vim.str_byteindex(line, encoding, character, false)
  end
  local utf32, utf16 = vim.str_utfindex(line)
  local is_utf16 = encoding ~= 'utf-32'
  local length = is_utf16 and utf16 or utf32
  return vim.str_byteindex(line, math.min(character, length), is_utf16)
end

return M
