import assert from "node:assert/strict";
import { test } from "node:test";
import { withList } from "../../src/pure/suggestList";

test("VS Code's default hides the list where there is ghost text", () => {
  const byDefault = { other: "offWhenInlineCompletions", comments: "off", strings: "off" };
  assert.deepEqual(withList(byDefault), { other: "on", comments: "off", strings: "off" });
  assert.deepEqual(withList("offWhenInlineCompletions"), { other: "on", comments: "on", strings: "on" });
});

test("the user's own choices stay", () => {
  for (const chosen of [
    { other: "on", comments: "off", strings: "off" },
    { other: "off", comments: "off", strings: "off" },
    { other: true, comments: false, strings: false },
    { other: "inline" },
    "on",
    true,
    false,
    undefined,
    null,
  ])
    assert.equal(withList(chosen), undefined);
});
