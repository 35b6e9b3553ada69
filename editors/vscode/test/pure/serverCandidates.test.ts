import assert from "node:assert/strict";
import { test } from "node:test";
import { candidates, expand, versionIn } from "../../src/pure/serverCandidates";

test("a command that was set is the only candidate", () => {
  const found = candidates({
    setting: ["py", "-m", "fim_lsp"],
    interpreter: "/usr/bin/python3",
    own: "/own",
  });
  assert.deepEqual(found, [{ origin: "setting", command: "py", args: ["-m", "fim_lsp"] }]);
});

test("else the interpreter, the path and our own environment, in this order", () => {
  const found = candidates({ setting: [], interpreter: "/usr/bin/python3", own: "/own/python" });
  assert.deepEqual(
    found.map(({ origin, command }) => [origin, command]),
    [
      ["interpreter", "/usr/bin/python3"],
      ["path", "fim-lsp"],
      ["own", "/own/python"],
    ],
  );
});

test("without the Python extension there is no interpreter", () => {
  const found = candidates({ setting: [], interpreter: undefined, own: "/own/python" });
  assert.deepEqual(
    found.map(({ origin }) => origin),
    ["path", "own"],
  );
});

test("only fim-lsp's own version line counts", () => {
  assert.equal(versionIn("fim-lsp 0.1.0\n"), "0.1.0");
  assert.equal(versionIn("Python 3.11.2\n"), undefined);
});

test("home and workspace folder are expanded, and nothing in their names", () => {
  assert.equal(expand("~/bin/fim-lsp", "/home/$&", undefined), "/home/$&/bin/fim-lsp");
  assert.equal(expand("a~/b", "/home/u", undefined), "a~/b");
  assert.equal(expand("${workspaceFolder}/x", "/home/u", "/w"), "/w/x");
  assert.equal(expand("${workspaceFolder}/x", "/home/u", undefined), "${workspaceFolder}/x");
});
