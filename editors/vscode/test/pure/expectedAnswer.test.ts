import assert from "node:assert/strict";
import { test } from "node:test";
import { problemIn, recordedMessage } from "../../src/pure/expectedAnswer";

test("a recorded case has no problem, and is counted", () => {
  assert.equal(problemIn({ recorded: 1, problem: "" }), undefined);
  assert.equal(recordedMessage({ recorded: 1, problem: "" }), "Recorded; 1 case.");
  assert.equal(recordedMessage({ recorded: 12, problem: "" }), "Recorded; 12 cases.");
});

test("the server's problem is shown, and so is a missing server", () => {
  assert.equal(problemIn({ recorded: 0, problem: "There is no text." }), "There is no text.");
  assert.equal(problemIn(undefined), "No server is running.");
});
