// Child processes: started without a shell, read line by line, and ended together with their own children.
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";

/** A program and its arguments. They are never passed through a shell. */
export interface CommandLine {
  readonly command: string;
  readonly args: readonly string[];
}

export interface RunOptions {
  /**
   * The folder to run in. Never a workspace: with `-m`, Python puts this folder first on its module path, so a
   * file there with a module's name would be run.
   */
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
  /** Called with each line of stdout and stderr as it comes. */
  readonly onLine?: (line: string) => void;
}

export interface Outcome {
  /** The exit code; null if the program could not be started, or was killed. */
  readonly code: number | null;
  readonly stdout: string;
  /** stdout and stderr in the order of their lines; the reason if the program could not be started. */
  readonly output: string;
}

const ON_WINDOWS = process.platform === "win32";
/** Time that a program has to clean up after it was asked to end. */
const GRACE_MS = 5_000;

/** Run a program to its end. Never throws: a program that does not exist gives an outcome, too. */
export function run(line: CommandLine, options: RunOptions): Promise<Outcome> {
  return new Promise((resolve) => {
    const stdout: string[] = [];
    const output: string[] = [];
    const child = spawn(line.command, line.args, {
      cwd: options.cwd,
      stdio: ["ignore", "pipe", "pipe"],
      // The child leads a process group, so that it can be ended together with its own children.
      detached: !ON_WINDOWS,
      // The server's tables are printed with rich, which would wrap them at 80 columns.
      env: {
        ...process.env,
        COLUMNS: "110",
        PYTHONIOENCODING: "utf-8",
        PIP_DISABLE_PIP_VERSION_CHECK: "1",
        ...options.env,
      },
    });
    const onLine = (text: string) => {
      output.push(text);
      options.onLine?.(text);
    };
    createInterface(child.stdout).on("line", (text) => {
      stdout.push(text);
      onLine(text);
    });
    createInterface(child.stderr).on("line", onLine);
    const release = endOnAbort(child, options.signal, (reason) => output.push(reason));
    child.on("error", (error) => output.push(error.message));
    child.on("close", (code) => {
      release();
      resolve({ code, stdout: stdout.join("\n"), output: output.join("\n") });
    });
  });
}

/**
 * End the child when the signal aborts, until the returned function is called.
 *
 * @param onAbort Called with the reason.
 */
function endOnAbort(
  child: ChildProcess,
  signal: AbortSignal | undefined,
  onAbort: (reason: string) => void,
): () => void {
  let grace: NodeJS.Timeout | undefined;
  const abort = () => {
    onAbort(signal?.reason instanceof Error ? signal.reason.message : "It was cancelled.");
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
 * Signal a program and all its children, as Ctrl+C does. The program alone is not enough: pip leaves its
 * compiler running, and `run` waits until the pipes that the compiler holds are closed.
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
    // It has ended already.
  }
}

/** Return the last line that is not blank: programs print their reason for failing there. */
export function lastLine(output: string): string {
  return output.trimEnd().split("\n").at(-1)?.trim() ?? "";
}
