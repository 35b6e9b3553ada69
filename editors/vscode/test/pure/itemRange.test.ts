import assert from "node:assert/strict";
import { test } from "node:test";
import { unitsToCut } from "../../src/pure/itemRange";

test("nothing is cut if every character is one unit", () => {
  assert.equal(unitsToCut("x = '日本語é'", "x = '日本語é', 1"), 0);
  assert.equal(unitsToCut("", "🎉"), 0);
});

test("everything up to the last character of two units is cut", () => {
  const replaced = "['🎉', '𝔘', 'a";
  const rest = replaced.slice(unitsToCut(replaced, replaced + "b']"));
  assert.equal(rest, "', 'a");
});

test("an item that changes what it replaces is left alone", () => {
  assert.equal(unitsToCut("'🎉", "'🎈"), 0);
});
