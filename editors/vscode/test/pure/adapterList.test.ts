import assert from "node:assert/strict";
import { test } from "node:test";
import { added, isOn, switched } from "../../src/pure/adapterList";

const list = [{ path: "a", scale: 0.5 }, { path: "b", scale: 0, languages: ["sql"] }, { path: "c" }];

test("an adapter without a scale is on", () => {
  assert.deepEqual(list.map(isOn), [true, false, true]);
});

test("switching keeps order, chosen scales and what else an adapter has", () => {
  assert.deepEqual(switched(list, ["a", "b"]), [
    { path: "a", scale: 0.5 },
    { path: "b", scale: 1, languages: ["sql"] },
    { path: "c", scale: 0 },
  ]);
});

test("an adapter is added once", () => {
  assert.deepEqual(added([{ path: "a" }], "d"), [{ path: "a" }, { path: "d", scale: 1 }]);
  assert.equal(added(list, "a").length, list.length);
});
