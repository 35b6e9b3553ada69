// Child processes: started without a shell, in a folder of our own, and read line by line.
import { spawn } from "node:child_process";
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

/** Run a program to its end. Never throws: a program that is not there is an outcome like any other. */
export function run(line: CommandLine, options: RunOptions): Promise<Outcome> {
  return new Promise((resolve) => {
    const stdout: string[] = [];
    const output: string[] = [];
    const child = spawn(line.command, line.args, {
      cwd: options.cwd,
      stdio: ["ignore", "pipe", "pipe"],
      ...(options.signal && { signal: options.signal }),
      // rich, which prints the server's tables, would wrap them at 80 columns.
      env: { ...process.env, COLUMNS: "110", PYTHONIOENCODING: "utf-8", PIP_DISABLE_PIP_VERSION_CHECK: "1" },
    });
    const hear = (heard: string[]) => (text: string) => {
      heard.push(text);
      if (heard !== output) output.push(text);
      options.onLine?.(text);
    };
    createInterface(child.stdout).on("line", hear(stdout));
    createInterface(child.stderr).on("line", hear(output));
    child.on("error", (error) => output.push(error.message));
    child.on("close", (code) => {
      resolve({ code, stdout: stdout.join("\n"), output: output.join("\n") });
    });
  });
}

/** The last line that says something: where programs put the reason for giving up. */
export function lastLine(output: string): string {
  return output.trimEnd().split("\n").at(-1)?.trim() ?? "";
}
