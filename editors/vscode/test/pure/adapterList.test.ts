import assert from "node:assert/strict";
import { test } from "node:test";
import { addAdapter, isOn, turnOnOnly } from "../../src/pure/adapterList";

const list = [{ path: "a", scale: 0.5 }, { path: "b", scale: 0, languages: ["sql"] }, { path: "c" }];

test("an adapter without a scale is on", () => {
  assert.deepEqual(list.map(isOn), [true, false, true]);
});

test("turning on and off keeps the order, chosen scales and other fields", () => {
  assert.deepEqual(turnOnOnly(list, ["a", "b"]), [
    { path: "a", scale: 0.5 },
    { path: "b", scale: 1, languages: ["sql"] },
    { path: "c", scale: 0 },
  ]);
});

test("an adapter is added once", () => {
  assert.deepEqual(addAdapter([{ path: "a" }], "d"), [{ path: "a" }, { path: "d", scale: 1 }]);
  assert.equal(addAdapter(list, "a").length, list.length);
});
