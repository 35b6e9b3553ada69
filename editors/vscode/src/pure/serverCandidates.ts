// The commands that may start a server, in the order in which they are tried.
import type { CommandLine } from "../processes";

export type Origin = "setting" | "interpreter" | "path" | "own";

/** A command that may start fim-lsp. `--stdio` or a subcommand is still to be appended. */
export interface Candidate extends CommandLine {
  readonly origin: Origin;
}

export interface Sources {
  /** The setting fimLsp.server.command; empty if the user did not set it. */
  readonly setting: readonly string[];
  /** The Python interpreter selected in the editor. */
  readonly interpreter: string | undefined;
  /** The interpreter of the virtual environment that this extension makes. */
  readonly own: string;
}

/** List the candidates, best first. A command that the user set is the only one: no other may replace it. */
export function candidates(sources: Sources): Candidate[] {
  const [command, ...args] = sources.setting;
  if (command) return [{ origin: "setting", command, args }];
  const module = ["-m", "fim_lsp"];
  return [
    ...(sources.interpreter
      ? [{ origin: "interpreter" as const, command: sources.interpreter, args: module }]
      : []),
    { origin: "path", command: "fim-lsp", args: [] },
    { origin: "own", command: sources.own, args: module },
  ];
}

/**
 * Return the version that `--version` printed, or undefined if the program is not fim-lsp.
 *
 * Example: `fim-lsp 0.1.0` gives `0.1.0`; `Python 3.11.2` gives undefined.
 */
export function parseVersion(stdout: string): string | undefined {
  return /^fim-lsp (\S+)$/m.exec(stdout)?.[1];
}

/** Expand `~` and `${workspaceFolder}` in one argument of fimLsp.server.command. */
export function expand(argument: string, home: string, workspaceFolder: string | undefined): string {
  return argument
    .replace(/^~(?=$|[\\/])/, () => home)
    .replaceAll("${workspaceFolder}", () => workspaceFolder ?? "${workspaceFolder}");
}
