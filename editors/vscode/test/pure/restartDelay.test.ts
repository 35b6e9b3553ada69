import assert from "node:assert/strict";
import { test } from "node:test";
import { recent, restartDelay } from "../../src/pure/restartDelay";

test("the first crash costs no wait, the next ones more and more, and then it is over", () => {
  const delays = [1, 2, 3, 4, 5, 6].map(restartDelay);
  assert.deepEqual(delays, [0, 500, 1000, 2000, 4000, undefined]);
});

test("old crashes are forgiven", () => {
  assert.deepEqual(recent([0, 100_000, 190_000], 200_000), [100_000, 190_000]);
});
