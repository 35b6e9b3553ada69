// The server's answer to `fimLsp.expected`: what should have been suggested here was recorded, or why it was not.

export interface ExpectedAnswer {
  /** The number of cases in the file. */
  readonly recorded: number;
  /** For the user; empty if it was recorded. */
  readonly problem: string;
}

/** Return the problem to show, if nothing was recorded. Without an answer no server runs. */
export function problemIn(answer: ExpectedAnswer | undefined): string | undefined {
  return answer ? answer.problem || undefined : "No server is running.";
}

/** Return what to say about a recorded case. */
export function recordedMessage({ recorded }: ExpectedAnswer): string {
  return `Recorded; ${recorded} ${recorded === 1 ? "case" : "cases"}.`;
}
