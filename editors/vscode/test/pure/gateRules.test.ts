import assert from "node:assert/strict";
import { test } from "node:test";
import { disabledReason, haveSameLine, setDisabled } from "../../src/pure/gateRules";

const open = { session: true, enabled: true, disabledLanguages: [] };

test("by default nothing is disabled", () => {
  assert.equal(disabledReason(open, "python", false), undefined);
});

test("each switch has a reason of its own", () => {
  const reasons = [
    disabledReason({ ...open, session: false }, "python", false),
    disabledReason({ ...open, enabled: false }, "python", false),
    disabledReason({ ...open, disabledLanguages: ["python"] }, "python", false),
    disabledReason(open, "python", true),
  ];
  assert.equal(new Set(reasons).size, 4);
  assert.ok(reasons.every((reason) => reason?.startsWith("off ")));
});

test("another language's switch does not count", () => {
  assert.equal(disabledReason({ ...open, disabledLanguages: ["sql"] }, "python", false), undefined);
});

test("a language is added once, and removed", () => {
  assert.deepEqual(setDisabled(["sql", "c"], "python", true), ["c", "python", "sql"]);
  assert.deepEqual(setDisabled(["python"], "python", true), ["python"]);
  assert.deepEqual(setDisabled(["python", "c"], "python", false), ["c"]);
});

test("cursors fit one suggestion only if their whole lines are the same", () => {
  const line = { before: "    x = ", after: "" };
  assert.ok(haveSameLine([line]));
  assert.ok(haveSameLine([line, { ...line }]));
  assert.ok(!haveSameLine([line, { before: "x = ", after: "" }]));
  assert.ok(!haveSameLine([line, { ...line, after: ")" }]));
});
