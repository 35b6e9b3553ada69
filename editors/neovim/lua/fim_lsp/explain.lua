--- The answer of `fimLsp.explain` as lines to read.

local M = {}

-- What a user asks first; the rest follows by name.
local FIRST = {
  'offered',
  'droppedBecause',
  'source',
  'model',
  'template',
  'context',
  'confidence',
  'delayMs',
  'timings',
  'adapters',
  'echo',
  'said',
  'endedBy',
  'steps',
}

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
    local plain = type(item) ~= 'table' and not tostring(item):find('\n')
    if plain then
      lines[#lines + 1] = ('%s%s %s'):format(indent, name, tostring(item))
    elseif type(item) ~= 'table' or next(item) ~= nil then
      lines[#lines + 1] = indent .. name
      render(item, indent .. '  ', lines)
    end
  end
end

--- Lines of an explanation, the most asked for first; what is empty is left out.
---@param explanation table
---@return string[]
function M.lines(explanation)
  local rest = vim.deepcopy(explanation)
  local lines = {}
  for _, name in ipairs(FIRST) do
    local value = rest[name]
    rest[name] = nil
    if value ~= nil and value ~= vim.NIL and value ~= '' then
      render({ [name] = value }, '', lines)
    end
  end
  render(rest, '', lines)
  return lines
end

return M
