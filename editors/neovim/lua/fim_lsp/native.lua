--- Neovim 0.12's own inline completion as a display.
---
--- Its public functions can neither request a suggestion nor return the shown one, so the plugin
--- uses its completor objects (0.12.4). If a later Neovim has changed these, `usable` returns false
--- and the plugin draws for itself.

local popup = require('fim_lsp.popup')

local M = {}

local METHODS = { 'request', 'abort' }

--- Return the class of completors. It has one for each buffer.
---@return table?
local function completor_class()
  local found, capability = pcall(require, 'vim.lsp._capability')
  return found and type(capability.all) == 'table' and capability.all.inline_completion or nil
end

---@param bufnr integer
---@return table?
local function completor(bufnr)
  return completor_class().active[bufnr]
end

--- Return whether this Neovim can draw suggestions, and has what the plugin needs for it.
---@return boolean
function M.usable()
  if not vim.lsp.inline_completion then
    return false
  end
  local class = completor_class()
  return type(class) == 'table'
    and type(class.active) == 'table'
    and vim.iter(METHODS):all(function(name)
      return type(class[name]) == 'function'
    end)
end

--- Request suggestions while the user types in a buffer, or stop.
---@param bufnr integer
---@param on boolean
function M.enable(bufnr, on)
  vim.lsp.inline_completion.enable(on, { bufnr = bufnr })
end

--- Return the shown item.
---@param bufnr integer
---@return fim_lsp.Item?
function M.current(bufnr)
  local current = (completor(bufnr) or {}).current
  if not current or not current.range or type(current.insert_text) ~= 'string' then
    return nil
  end
  local row, start, _, stop = current.range:to_extmark()
  return {
    client_id = current.client_id,
    text = current.insert_text,
    row = row,
    start = start,
    stop = stop,
    command = current.command,
  }
end

--- Hide the suggestion and cancel the pending request.
---@param bufnr integer
function M.hide(bufnr)
  local active = completor(bufnr)
  if active then
    active:abort()
  end
end

--- Request suggestions at the cursor.
---@param bufnr integer
---@param kind lsp.InlineCompletionTriggerKind
function M.request(bufnr, kind)
  local active = completor(bufnr)
  if active and not popup.visible() then
    -- An automatic request that still waits for its 200 ms would replace this one.
    active:abort()
    active:request(kind)
  end
end

--- Show another of several suggestions.
---@param bufnr integer
---@param count integer 1 for the next, -1 for the previous
function M.select(bufnr, count)
  vim.lsp.inline_completion.select({ bufnr = bufnr, count = count })
end

return M
