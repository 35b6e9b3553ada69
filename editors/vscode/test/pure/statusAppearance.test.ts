import assert from "node:assert/strict";
import { test } from "node:test";
import { type Facts, appearance, missingModelIn } from "../../src/pure/statusAppearance";

const status = (kind: "Normal" | "Warning" | "Error" | "Inactive", message = "", busy = false) => ({
  kind,
  message,
  busy,
});
const running: Facts = { server: "running", pending: 0, status: status("Normal", "SmolLM2") };

test("ready names the model", () => {
  assert.deepEqual(appearance(running), { text: "$(sparkle) fim", tooltip: "Ready: SmolLM2" });
});

test("a request that waits is busy", () => {
  assert.match(appearance({ ...running, pending: 1 }).text, /spin/);
});

test("a server that said nothing yet is not ready", () => {
  assert.equal(appearance({ server: "running", pending: 0 }).tooltip, "Starting");
});

test("loading shows the percent once it is known", () => {
  const loading: Facts = { ...running, status: status("Normal", "Loading x", true) };
  assert.equal(appearance(loading).text, "$(loading~spin) fim");
  assert.equal(appearance({ ...loading, percent: 0 }).text, "$(loading~spin) fim 0%");
  assert.equal(appearance({ ...loading, percent: 42 }).tooltip, "Loading x 42%");
});

test("off tells why, and an error is more important", () => {
  assert.equal(appearance({ ...running, off: "off for python" }).tooltip, "Completions are off for python");
  const broken: Facts = { ...running, off: "off for python", status: status("Error", "It broke.") };
  assert.deepEqual(appearance(broken), { text: "$(error) fim", tooltip: "It broke.", severity: "error" });
});

test("the server's own word that it is off is shown", () => {
  assert.equal(
    appearance({ ...running, status: status("Inactive", "Completions are off") }).text,
    "$(circle-slash) fim",
  );
});

test("a missing model is no error but something to do", () => {
  const missing: Facts = { ...running, missingModel: "smollm2-135m", status: status("Error", "…") };
  assert.equal(appearance(missing).severity, "warning");
  assert.match(appearance(missing).text, /no model/);
});

test("every state of the server looks its own way", () => {
  const servers = ["missing", "failed", "crashed", "starting", "running"] as const;
  const texts = servers.map((server) => appearance({ ...running, server }).text);
  assert.equal(new Set(texts).size, servers.length);
  assert.equal(appearance({ server: "failed", pending: 0, problem: "No such file" }).tooltip, "No such file");
});

test("the missing model's name is read from the server's word", () => {
  assert.equal(missingModelIn("The model smollm2-135m is not here yet. Run: …"), "smollm2-135m");
  assert.equal(missingModelIn("The model file /a.gguf does not exist."), undefined);
});
