// Where a server may be, in the order in which it is looked for.
import type { CommandLine } from "../processes";

export type Origin = "setting" | "interpreter" | "path" | "own";

/** A way to start fim-lsp; `--stdio` and the verbs are still to be added. */
export interface Candidate extends CommandLine {
  readonly origin: Origin;
}

export interface Places {
  /** fimLsp.server.command; empty where the user left the choice to us. */
  readonly setting: readonly string[];
  /** The Python interpreter selected in the editor. */
  readonly interpreter: string | undefined;
  /** The interpreter of the virtual environment that this extension makes. */
  readonly own: string;
}

/** The candidates, best first. A command that was set is the only one: what was asked for, or an error. */
export function candidates(places: Places): Candidate[] {
  const [command, ...args] = places.setting;
  if (command) return [{ origin: "setting", command, args }];
  const module = ["-m", "fim_lsp"];
  return [
    ...(places.interpreter
      ? [{ origin: "interpreter" as const, command: places.interpreter, args: module }]
      : []),
    { origin: "path", command: "fim-lsp", args: [] },
    { origin: "own", command: places.own, args: module },
  ];
}

/** The version in what `--version` printed, or undefined for anything but fim-lsp. */
export function versionIn(stdout: string): string | undefined {
  return /^fim-lsp (\S+)$/m.exec(stdout)?.[1];
}

/** `~` and `${workspaceFolder}` in a part of fimLsp.server.command. */
export function expand(part: string, home: string, workspaceFolder: string | undefined): string {
  return part
    .replace(/^~(?=$|[\\/])/, () => home)
    .replaceAll("${workspaceFolder}", () => workspaceFolder ?? "${workspaceFolder}");
}
