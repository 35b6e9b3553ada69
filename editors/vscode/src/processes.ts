// Child processes: started without a shell, in a folder of our own, read line by line, and ended with all
// that they started.
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";

/** A program and its arguments; no shell ever sees them. */
export interface CommandLine {
  readonly command: string;
  readonly args: readonly string[];
}

export interface RunOptions {
  /**
   * Where to run. Python puts this folder first on its module path with `-m`, so it must never be a
   * workspace: a file named like a module would be run.
   */
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
  /** Hears every line of stdout and stderr as it comes. */
  readonly onLine?: (line: string) => void;
}

export interface Outcome {
  /** null where the program could not be started or was killed. */
  readonly code: number | null;
  readonly stdout: string;
  /** stdout and stderr in the order of their lines; where there is none, why it did not start. */
  readonly output: string;
}

const ON_WINDOWS = process.platform === "win32";
/** How long a program may tidy up after it was asked to end. */
const GRACE_MS = 5_000;

/** Run a program to its end. Never throws: a program that is not there is an outcome like any other. */
export function run(line: CommandLine, options: RunOptions): Promise<Outcome> {
  return new Promise((resolve) => {
    const stdout: string[] = [];
    const output: string[] = [];
    const child = spawn(line.command, line.args, {
      cwd: options.cwd,
      stdio: ["ignore", "pipe", "pipe"],
      // The head of a process group, which ends as one.
      detached: !ON_WINDOWS,
      // rich, which prints the server's tables, would wrap them at 80 columns.
      env: {
        ...process.env,
        COLUMNS: "110",
        PYTHONIOENCODING: "utf-8",
        PIP_DISABLE_PIP_VERSION_CHECK: "1",
        ...options.env,
      },
    });
    const hear = (heard: string[]) => (text: string) => {
      heard.push(text);
      if (heard !== output) output.push(text);
      options.onLine?.(text);
    };
    createInterface(child.stdout).on("line", hear(stdout));
    createInterface(child.stderr).on("line", hear(output));
    const release = endOnAbort(child, options.signal, (reason) => output.push(reason));
    child.on("error", (error) => output.push(error.message));
    child.on("close", (code) => {
      release();
      resolve({ code, stdout: stdout.join("\n"), output: output.join("\n") });
    });
  });
}

/** Follow a signal until the returned function is called; `ending` hears why. */
function endOnAbort(
  child: ChildProcess,
  signal: AbortSignal | undefined,
  ending: (reason: string) => void,
): () => void {
  let grace: NodeJS.Timeout | undefined;
  const abort = () => {
    ending(signal?.reason instanceof Error ? signal.reason.message : "It was cancelled.");
    endGroup(child, "SIGINT");
    grace = setTimeout(() => {
      endGroup(child, "SIGKILL");
    }, GRACE_MS);
  };
  if (signal?.aborted) abort();
  else signal?.addEventListener("abort", abort, { once: true });
  return () => {
    clearTimeout(grace);
    signal?.removeEventListener("abort", abort);
  };
}

/**
 * Ask a program and all that it started to end, as Ctrl+C does. The program alone would not do: pip leaves a
 * compiler at work, whose open pipes keep us waiting for it.
 */
function endGroup(child: ChildProcess, signal: "SIGINT" | "SIGKILL"): void {
  if (child.pid === undefined) return; // it never started
  if (ON_WINDOWS) {
    spawn("taskkill", ["/pid", String(child.pid), "/t", "/f"], { stdio: "ignore" });
    return;
  }
  try {
    process.kill(-child.pid, signal);
  } catch {
    // It has ended by itself.
  }
}

/** The last line that says something: where programs put the reason for giving up. */
export function lastLine(output: string): string {
  return output.trimEnd().split("\n").at(-1)?.trim() ?? "";
}
