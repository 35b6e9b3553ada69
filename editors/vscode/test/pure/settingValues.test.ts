import assert from "node:assert/strict";
import { test } from "node:test";
import { nested, wasSet } from "../../src/pure/settingValues";

test("a default is nobody's choice", () => {
  assert.ok(!wasSet(undefined));
  assert.ok(!wasSet({ defaultValue: 4 } as object));
});

test("false and null are choices", () => {
  assert.ok(wasSet({ globalValue: false }));
  assert.ok(wasSet({ workspaceValue: null }));
  assert.ok(wasSet({ workspaceFolderValue: 0 }));
});

test("paths become objects", () => {
  const found = nested([
    ["model.name", "x"],
    ["model.threads", null],
    ["adapters", [{ path: "a.gguf" }]],
  ]);
  assert.deepEqual(found, { model: { name: "x", threads: null }, adapters: [{ path: "a.gguf" }] });
});
