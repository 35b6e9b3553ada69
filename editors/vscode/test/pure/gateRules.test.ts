import assert from "node:assert/strict";
import { test } from "node:test";
import { agree, whyOff, withLanguage } from "../../src/pure/gateRules";

const open = { session: true, enabled: true, disabledLanguages: [] };

test("nothing stands in the way by default", () => {
  assert.equal(whyOff(open, "python", false), undefined);
});

test("each switch closes the gate and says which it was", () => {
  const reasons = [
    whyOff({ ...open, session: false }, "python", false),
    whyOff({ ...open, enabled: false }, "python", false),
    whyOff({ ...open, disabledLanguages: ["python"] }, "python", false),
    whyOff(open, "python", true),
  ];
  assert.equal(new Set(reasons).size, 4);
  assert.ok(reasons.every((reason) => reason?.startsWith("off ")));
});

test("another language's switch closes nothing", () => {
  assert.equal(whyOff({ ...open, disabledLanguages: ["sql"] }, "python", false), undefined);
});

test("a language is added once and taken away", () => {
  assert.deepEqual(withLanguage(["sql", "c"], "python", true), ["c", "python", "sql"]);
  assert.deepEqual(withLanguage(["python"], "python", true), ["python"]);
  assert.deepEqual(withLanguage(["python", "c"], "python", false), ["c"]);
});

test("cursors agree only where their whole lines do", () => {
  const here = { before: "    x = ", after: "" };
  assert.ok(agree([here]));
  assert.ok(agree([here, { ...here }]));
  assert.ok(!agree([here, { before: "x = ", after: "" }]));
  assert.ok(!agree([here, { ...here, after: ")" }]));
});
