import assert from "node:assert/strict";
import { test } from "node:test";
import { type ServerStatus, missingModel, missingModelIn } from "../../src/pure/serverStatus";

const missing: ServerStatus = {
  kind: "Error",
  message: "The model smollm2-135m is not here yet.",
  busy: false,
  code: "model_missing",
  model: "smollm2-135m",
};

test("the missing model is read from code and name, not from the message", () => {
  assert.equal(missingModel(missing), "smollm2-135m");
  assert.equal(missingModel({ ...missing, message: "Il manque un modèle." }), "smollm2-135m");
});

test("another problem misses no model", () => {
  assert.equal(missingModel({ ...missing, code: "model_unknown" }), undefined);
  assert.equal(missingModel(undefined), undefined);
});

test("a message that repeats the status is about its model", () => {
  assert.equal(missingModelIn(`${missing.message} Run: fim-lsp model pull …`, missing), "smollm2-135m");
});

test("another message is not", () => {
  assert.equal(missingModelIn("The adapter a.gguf does not fit.", missing), undefined);
  assert.equal(missingModelIn(missing.message, { ...missing, code: "model_failed" }), undefined);
  assert.equal(missingModelIn("anything", undefined), undefined);
});
