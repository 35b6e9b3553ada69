// How long to wait before a server that died is started again. The delay grows with each crash; a server that
// can't live is given up, so that starting it again and again does not keep the machine busy.

const WINDOW_MS = 3 * 60_000;
const MAX_CRASHES = 6;
const FIRST_DELAY_MS = 500;
const LONGEST_DELAY_MS = 15_000;

/** Drop the crashes that are too old to count. All times are milliseconds since the epoch. */
export function recentCrashes(times: readonly number[], now: number): number[] {
  return times.filter((time) => now - time < WINDOW_MS);
}

/**
 * Return the delay before the next start in milliseconds, or undefined to give up.
 *
 * Nothing after a first crash, so that the user hardly notices it; then 500 ms, 1 s, 2 s, and so on.
 */
export function restartDelay(crashCount: number): number | undefined {
  if (crashCount >= MAX_CRASHES) return undefined;
  if (crashCount <= 1) return 0;
  return Math.min(FIRST_DELAY_MS * 2 ** (crashCount - 2), LONGEST_DELAY_MS);
}
