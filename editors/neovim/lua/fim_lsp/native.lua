--- Neovim 0.12's own inline completion as a display.
---
--- Its public functions can neither ask by hand nor tell what is shown, so its completor object is
--- used for both (0.12.4). Where that changed, `usable` says so and the plugin draws for itself.

local popup = require('fim_lsp.popup')

local M = {}

local WANTED = { 'request', 'abort' }

---@return table? the class of the objects that complete, one a buffer
local function class()
  local found, capability = pcall(require, 'vim.lsp._capability')
  return found and type(capability.all) == 'table' and capability.all.inline_completion or nil
end

---@param bufnr integer
local function completor(bufnr)
  return class().active[bufnr]
end

---@return boolean
function M.usable()
  if not vim.lsp.inline_completion then
    return false
  end
  local completes = class()
  return type(completes) == 'table'
    and type(completes.active) == 'table'
    and vim.iter(WANTED):all(function(name)
      return type(completes[name]) == 'function'
    end)
end

---@param bufnr integer
---@param on boolean
function M.enable(bufnr, on)
  vim.lsp.inline_completion.enable(on, { bufnr = bufnr })
end

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

---@param bufnr integer
function M.hide(bufnr)
  if completor(bufnr) then
    completor(bufnr):abort()
  end
end

---@param bufnr integer
---@param kind lsp.InlineCompletionTriggerKind
function M.request(bufnr, kind)
  local completes = completor(bufnr)
  if completes and not popup.visible() then
    -- An automatic request that still waits for its 200 ms would answer over this one.
    completes:abort()
    completes:request(kind)
  end
end

---@param bufnr integer
---@param count integer
function M.select(bufnr, count)
  vim.lsp.inline_completion.select({ bufnr = bufnr, count = count })
end

return M
