import assert from "node:assert/strict";
import { test } from "node:test";
import { type Explanation, explanationPage } from "../../src/pure/explanationPage";

const last: Explanation = {
  uri: "file:///a%20b.py",
  line: 6,
  source: "joined",
  model: "SmolLM2 135M",
  template: "smollm2",
  adapters: [
    { path: "/home/me/mine.gguf", scale: 1 },
    { path: "C:\\team.gguf", scale: 0.5 },
  ],
  multiline: true,
  delayMs: 1.25,
  timings: {
    queuedMs: 0,
    prefillMs: 12.34,
    decodeMs: 5,
    evaluatedTokens: 3,
    reusedTokens: 99,
    generatedTokens: 7,
  },
  parts: [{ kind: "prefix", text: "def f():", tokens: 4 }],
  snippets: "",
  echo: "",
  generated: "return `x` ```",
  endedBy: "block",
  steps: [{ name: "trim_end", before: "a ", after: "a" }],
  shown: "return",
  droppedBecause: "",
  confidence: 0.876,
};

test("the page has the location, model, suggestion, costs, filters and prompt", () => {
  const page = explanationPage(last);
  for (const words of [
    "/a b.py, line 7",
    "came from SmolLM2 135M with mine.gguf, team.gguf at scale 0.5.",
    "already running",
    "88%",
    "| prompt tokens reused | 99 |",
    "**trim_end** changed",
    "prefix, 4 tokens",
  ]) {
    assert.ok(page.includes(words), words);
  }
});

test("code with fences stays inside its own fence", () => {
  assert.ok(explanationPage(last).includes("````\nreturn `x` ```\n````"));
});

test("a dropped suggestion has a reason", () => {
  const page = explanationPage({ ...last, shown: null, droppedBecause: "drop_lines_below", steps: [] });
  assert.match(page, /Nothing was suggested: drop_lines_below\./);
  assert.match(page, /changed\n\nNothing\./);
});

test("an echo is shown before the second text", () => {
  const page = explanationPage({ ...last, echo: "import sys" });
  assert.match(page, /so the model generated again:\n\n```\nimport sys\n```/);
  assert.ok(!explanationPage(last).includes("generated again"));
});

test("snippets of other files are named", () => {
  const page = explanationPage({ ...last, snippets: "shop/cart.py (definition)" });
  assert.ok(page.includes("Other files: shop/cart.py (definition)."));
  assert.ok(!explanationPage(last).includes("Other files"));
});

test("before the first suggestion there is nothing to explain", () => {
  assert.match(explanationPage({ ...last, uri: "" }), /Nothing was suggested yet/);
});
