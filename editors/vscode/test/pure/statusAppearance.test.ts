import assert from "node:assert/strict";
import { test } from "node:test";
import type { ServerStatus } from "../../src/pure/serverStatus";
import { type Facts, appearance } from "../../src/pure/statusAppearance";

const READY: ServerStatus = {
  kind: "Normal",
  message: "SmolLM2",
  busy: false,
  code: "ready",
  model: "smollm2-135m",
};
const running: Facts = { server: "running", pending: 0, status: READY };
const failing: ServerStatus = { ...READY, kind: "Error", code: "model_failed", message: "It broke." };

test("ready names the model", () => {
  assert.deepEqual(appearance(running), { text: "$(sparkle) fim", tooltip: "Ready: SmolLM2" });
});

test("a request that waits is busy", () => {
  assert.match(appearance({ ...running, pending: 1 }).text, /spin/);
});

test("a server that has sent no status yet is not ready", () => {
  assert.equal(appearance({ server: "running", pending: 0 }).tooltip, "Starting");
});

test("loading shows the percent once it is known", () => {
  const status: ServerStatus = { ...READY, code: "loading", message: "Loading x", busy: true };
  const loading: Facts = { ...running, status };
  assert.equal(appearance(loading).text, "$(loading~spin) fim");
  assert.equal(appearance({ ...loading, percent: 0 }).text, "$(loading~spin) fim 0%");
  assert.equal(appearance({ ...loading, percent: 42 }).tooltip, "Loading x 42%");
});

test("disabled shows the reason, and an error is more important", () => {
  const disabled: Facts = { ...running, disabledReason: "off for python" };
  assert.equal(appearance(disabled).tooltip, "Completions are off for python");
  const broken = appearance({ ...disabled, status: failing });
  assert.deepEqual(broken, { text: "$(error) fim", tooltip: "It broke.", severity: "error" });
});

test("completions that the server has disabled are shown as off", () => {
  const status: ServerStatus = {
    ...READY,
    kind: "Inactive",
    code: "disabled",
    message: "Completions are off",
  };
  assert.equal(appearance({ ...running, status }).text, "$(circle-slash) fim");
});

test("a missing model is no error but something to do", () => {
  const missing = appearance({ ...running, status: { ...failing, code: "model_missing" } });
  assert.equal(missing.severity, "warning");
  assert.match(missing.text, /no model/);
  assert.equal(missing.tooltip, "The model smollm2-135m is not here yet.");
});

test("every state of the server looks its own way", () => {
  const servers = ["missing", "failed", "crashed", "starting", "running"] as const;
  const texts = servers.map((server) => appearance({ ...running, server }).text);
  assert.equal(new Set(texts).size, servers.length);
  assert.equal(appearance({ server: "failed", pending: 0, problem: "No such file" }).tooltip, "No such file");
});
