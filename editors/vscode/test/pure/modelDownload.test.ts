import assert from "node:assert/strict";
import { test } from "node:test";
import { describeProgress, parseFailure, parseProgress } from "../../src/pure/modelDownload";

test("a line of progress is described by its stage, percent and size", () => {
  const progress = parseProgress('{"stage": "join", "done": 58000000, "total": 145000000}');
  assert.ok(progress);
  assert.equal(describeProgress(progress), "joining: 40% of 145 MB");
});

test("other lines are no progress", () => {
  for (const line of ["", "SmolLM2: about 98 MB", "[1]", '{"path": "/m.gguf"}']) {
    assert.equal(parseProgress(line), undefined);
  }
});

test("an unknown size is 0 percent", () => {
  assert.equal(describeProgress({ stage: "fetch", done: 0, total: 0 }), "fetching: 0% of 0 MB");
});

test("a failure is the problem and its remedy", () => {
  const failure = '{"code": "model_failed", "problem": "There is no network.", "remedy": "Try again."}';
  assert.equal(
    parseFailure(`{"stage": "fetch", "done": 1, "total": 2}\n${failure}\n`),
    "There is no network. Try again.",
  );
  assert.equal(parseFailure('{"code": "model_failed", "problem": "It broke.", "remedy": ""}'), "It broke.");
});

test("a path is no failure", () => {
  for (const stdout of ['{"path": "/m.gguf"}', "", "Traceback"])
    assert.equal(parseFailure(stdout), undefined);
});
