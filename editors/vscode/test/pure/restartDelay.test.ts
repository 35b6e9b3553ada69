import assert from "node:assert/strict";
import { test } from "node:test";
import { recentCrashes, restartDelay } from "../../src/pure/restartDelay";

test("no delay after the first crash, then longer ones, then none at all", () => {
  const delays = [1, 2, 3, 4, 5, 6].map(restartDelay);
  assert.deepEqual(delays, [0, 500, 1000, 2000, 4000, undefined]);
});

test("old crashes do not count", () => {
  assert.deepEqual(recentCrashes([0, 100_000, 190_000], 200_000), [100_000, 190_000]);
});
