import assert from "node:assert/strict";
import { test } from "node:test";
import { leftOut } from "../../src/pure/itemRange";

test("nothing is left out where every character is one unit", () => {
  assert.equal(leftOut("x = '日本語é'", "x = '日本語é', 1"), 0);
  assert.equal(leftOut("", "🎉"), 0);
});

test("everything up to the last character of two units is", () => {
  const replaced = "['🎉', '𝔘', 'a";
  const rest = replaced.slice(leftOut(replaced, replaced + "b']"));
  assert.equal(rest, "', 'a");
});

test("an item that changes what it replaces is left alone", () => {
  assert.equal(leftOut("'🎉", "'🎈"), 0);
});
