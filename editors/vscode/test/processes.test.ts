import assert from "node:assert/strict";
import { tmpdir } from "node:os";
import { test } from "node:test";
import { lastLine, run } from "../src/processes";

const script = (text: string) => ({ command: process.execPath, args: ["-e", text] });
const cwd = tmpdir();

test("code and output of a program", async () => {
  const lines: string[] = [];
  const options = { cwd, onLine: (line: string) => lines.push(line) };
  const outcome = await run(
    script("console.log('out'); console.error('err'); process.exitCode = 3"),
    options,
  );
  assert.equal(outcome.code, 3);
  assert.equal(outcome.stdout, "out");
  assert.deepEqual(lines.toSorted(), ["err", "out"]);
  assert.deepEqual(outcome.output.split("\n").toSorted(), ["err", "out"]);
});

test("a program that does not exist has an outcome, too", async () => {
  const outcome = await run({ command: "no-such-program-anywhere", args: [] }, { cwd });
  assert.notEqual(outcome.code, 0);
  assert.match(lastLine(outcome.output), /ENOENT/);
});

test("an abort ends the program", async () => {
  const abort = new AbortController();
  const running = run(script("setInterval(() => {}, 1000); console.log('up')"), {
    cwd,
    signal: abort.signal,
    onLine: () => {
      abort.abort();
    },
  });
  assert.equal((await running).code, null);
});

// The child's own child holds the pipes open: `run` waits until it has ended, too.
test("an abort ends the program's own children, too", { timeout: 60_000 }, async () => {
  const compiler = "setInterval(() => {}, 1000); process.on('SIGINT', () => {}); console.log('compiling')";
  const program = `require("node:child_process")
    .spawn(process.execPath, ["-e", ${JSON.stringify(compiler)}], { stdio: "inherit" });
    setInterval(() => {}, 1000);`;
  const abort = new AbortController();
  const options = {
    cwd,
    signal: abort.signal,
    onLine: () => {
      abort.abort(new Error("no longer wanted"));
    },
  };
  const outcome = await run(script(program), options);
  assert.notEqual(outcome.code, 0);
  assert.equal(lastLine(outcome.output), "no longer wanted");
});

test("a program whose signal was aborted before its start is ended", async () => {
  const outcome = await run(script("setInterval(() => {}, 1000)"), { cwd, signal: AbortSignal.abort() });
  assert.equal(outcome.code, null);
});
