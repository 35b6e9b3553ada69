// The output of `fim-lsp model pull --json`: one JSON object a line.

export interface DownloadProgress {
  readonly stage: "fetch" | "check" | "join";
  /** Bytes done, of `total`. */
  readonly done: number;
  readonly total: number;
}

const STAGES = { fetch: "fetching", check: "checking", join: "joining" };

/** Parse a line of progress; undefined for any other line. */
export function parseProgress(line: string): DownloadProgress | undefined {
  const value = parseObject(line);
  if (!value || !("stage" in value) || !("done" in value) || !("total" in value)) return undefined;
  return value as DownloadProgress;
}

/** Describe progress in a few words: `joining: 40% of 145 MB`. */
export function describeProgress({ stage, done, total }: DownloadProgress): string {
  const percent = total > 0 ? Math.floor((100 * done) / total) : 0;
  return `${STAGES[stage]}: ${percent}% of ${Math.round(total / 1e6)} MB`;
}

/** Return the problem and the remedy from the last line, or undefined if that is no failure. */
export function parseFailure(stdout: string): string | undefined {
  const value = parseObject(stdout.trimEnd().split("\n").at(-1) ?? "");
  if (!value || !("problem" in value)) return undefined;
  const { problem, remedy } = value as { problem: string; remedy?: string };
  return [problem, ...(remedy ? [remedy] : [])].join(" ");
}

function parseObject(text: string): object | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}
