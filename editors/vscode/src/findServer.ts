// Finding the server: the first candidate that really answers is taken.
import { mkdir } from "node:fs/promises";
import { homedir } from "node:os";
import path from "node:path";
import { type ExtensionContext, type LogOutputChannel, workspace } from "vscode";
import { type Candidate, candidates, expand, versionIn } from "./pure/serverCandidates";
import { selectedInterpreter } from "./pythonInterpreter";
import { lastLine, run } from "./processes";

export interface Found extends Candidate {
  readonly version: string;
}

/** The command in fimLsp.server.command does not start fim-lsp. */
export class BadCommandError extends Error {}

/** Where this extension's own virtual environment is, or would be. */
export function ownEnvironment(context: ExtensionContext): string {
  return path.join(context.globalStorageUri.fsPath, "server");
}

/** The interpreter inside a virtual environment. */
export function interpreterIn(environment: string): string {
  return process.platform === "win32"
    ? path.join(environment, "Scripts", "python.exe")
    : path.join(environment, "bin", "python");
}

/** A folder that is ours, to run programs in. */
export async function ownFolder(context: ExtensionContext): Promise<string> {
  await mkdir(context.globalStorageUri.fsPath, { recursive: true });
  return context.globalStorageUri.fsPath;
}

/**
 * The server to start, or undefined where there is none on this machine.
 *
 * @throws BadCommandError when the user set a command and it is not fim-lsp.
 */
export async function locate(context: ExtensionContext, log: LogOutputChannel): Promise<Found | undefined> {
  const folder = workspace.workspaceFolders?.[0]?.uri.fsPath;
  const setting = workspace.getConfiguration("fimLsp").get<string[]>("server.command", []);
  const places = {
    setting: setting.map((part) => expand(part, homedir(), folder)),
    interpreter: await selectedInterpreter(),
    own: interpreterIn(ownEnvironment(context)),
  };
  for (const candidate of candidates(places)) {
    const { code, stdout, output } = await run(
      { command: candidate.command, args: [...candidate.args, "--version"] },
      { cwd: await ownFolder(context), signal: AbortSignal.timeout(60_000) },
    );
    const version = code === 0 ? versionIn(stdout) : undefined;
    if (version) {
      log.info(`fim-lsp ${version}: ${candidate.command} (${candidate.origin})`);
      return { ...candidate, version };
    }
    const reason = lastLine(output);
    log.debug(`No server at ${candidate.command} (${candidate.origin}): ${reason}`);
    if (candidate.origin === "setting") {
      throw new BadCommandError(`fimLsp.server.command does not start fim-lsp: ${reason}`);
    }
  }
  return undefined;
}
