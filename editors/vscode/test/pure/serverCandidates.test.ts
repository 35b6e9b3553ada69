import assert from "node:assert/strict";
import { test } from "node:test";
import { candidates, expand, parseVersion } from "../../src/pure/serverCandidates";

test("a command that was set is the only candidate", () => {
  const found = candidates({
    setting: ["py", "-m", "fim_lsp"],
    interpreter: "/usr/bin/python3",
    own: "/own",
  });
  assert.deepEqual(found, [{ origin: "setting", command: "py", args: ["-m", "fim_lsp"] }]);
});

test("otherwise the interpreter, the path and the extension's own environment, in this order", () => {
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
  assert.equal(parseVersion("fim-lsp 0.1.0\n"), "0.1.0");
  assert.equal(parseVersion("Python 3.11.2\n"), undefined);
});

test("home and workspace folder are expanded, but `$&` in their names is not", () => {
  assert.equal(expand("~/bin/fim-lsp", "/home/$&", undefined), "/home/$&/bin/fim-lsp");
  assert.equal(expand("a~/b", "/home/u", undefined), "a~/b");
  assert.equal(expand("${workspaceFolder}/x", "/home/u", "/w"), "/w/x");
  assert.equal(expand("${workspaceFolder}/x", "/home/u", undefined), "${workspaceFolder}/x");
});
