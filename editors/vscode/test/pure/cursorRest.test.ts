import assert from "node:assert/strict";
import { test } from "node:test";
import { movedWithoutTyping } from "../../src/pure/cursorRest";

const before = { uri: "file:///a.py", version: 3 };

test("a movement in an unchanged document is one without typing", () => {
  assert.ok(movedWithoutTyping(before, { ...before }));
});

test("a key that changed the document moved the cursor by typing", () => {
  assert.ok(!movedWithoutTyping(before, { ...before, version: 4 }));
});

test("the first movement, and one to another document, count", () => {
  assert.ok(movedWithoutTyping(undefined, before));
  assert.ok(movedWithoutTyping(before, { uri: "file:///b.py", version: 9 }));
});
