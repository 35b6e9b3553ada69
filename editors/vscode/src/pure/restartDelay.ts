// What to do when the server dies: start it again, more slowly each time, and give up on a server that
// can't live, so that the machine is not kept busy with its dying.

const WINDOW_MS = 3 * 60_000;
const MOST_CRASHES = 6;
const FIRST_DELAY_MS = 500;
const LONGEST_DELAY_MS = 15_000;

/** The crashes that still count at `now` (milliseconds). */
export function recent(crashes: readonly number[], now: number): number[] {
  return crashes.filter((at) => now - at < WINDOW_MS);
}

/**
 * How long to wait before the next start, in milliseconds: nothing after a first crash, so that the user
 * hardly notices. Undefined when it is time to give up.
 */
export function restartDelay(recentCrashes: number): number | undefined {
  if (recentCrashes >= MOST_CRASHES) return undefined;
  if (recentCrashes <= 1) return 0;
  return Math.min(FIRST_DELAY_MS * 2 ** (recentCrashes - 2), LONGEST_DELAY_MS);
}
