--- Format the answer of the server's command `fimLsp.explain`.

local M = {}

-- The fields that users look for first, in this order; the others follow in alphabetical order.
local FIRST = {
  'shown',
  'droppedBecause',
  'source',
  'model',
  'template',
  'snippets',
  'confidence',
  'delayMs',
  'timings',
  'adapters',
  'echo',
  'generated',
  'endedBy',
  'steps',
}

--- Append a value's lines to `lines`.
---@param value any
---@param indent string
---@param lines string[]
local function render(value, indent, lines)
  if type(value) ~= 'table' then
    for _, line in ipairs(vim.split(tostring(value), '\n', { plain = true })) do
      lines[#lines + 1] = indent .. line
    end
    return
  end
  for key, item in vim.spairs(value) do
    local name = type(key) == 'number' and '-' or key .. ':'
    local fits_one_line = type(item) ~= 'table' and not tostring(item):find('\n')
    if fits_one_line then
      lines[#lines + 1] = ('%s%s %s'):format(indent, name, tostring(item))
    elseif type(item) ~= 'table' or next(item) ~= nil then
      lines[#lines + 1] = indent .. name
      render(item, indent .. '  ', lines)
    end
  end
end

--- Format an explanation as lines. Empty fields are left out.
---@param explanation table
---@return string[]
function M.lines(explanation)
  local others = vim.deepcopy(explanation)
  local lines = {}
  for _, name in ipairs(FIRST) do
    local value = others[name]
    others[name] = nil
    if value ~= nil and value ~= vim.NIL and value ~= '' then
      render({ [name] = value }, '', lines)
    end
  end
  render(others, '', lines)
  return lines
end

return M
