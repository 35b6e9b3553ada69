import assert from "node:assert/strict";
import { test } from "node:test";
import { isSet, nest } from "../../src/pure/settingValues";

test("a default is not set by the user", () => {
  assert.ok(!isSet(undefined));
  assert.ok(!isSet({ defaultValue: 4 } as object));
});

test("false and null are values", () => {
  assert.ok(isSet({ globalValue: false }));
  assert.ok(isSet({ workspaceValue: null }));
  assert.ok(isSet({ workspaceFolderValue: 0 }));
});

test("paths become objects", () => {
  const found = nest([
    ["model.name", "x"],
    ["model.threads", null],
    ["adapters", [{ path: "a.gguf" }]],
  ]);
  assert.deepEqual(found, { model: { name: "x", threads: null }, adapters: [{ path: "a.gguf" }] });
});
