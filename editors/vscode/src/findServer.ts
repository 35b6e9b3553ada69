// Finds the server: the first candidate whose `--version` answers as fim-lsp.
import { mkdir } from "node:fs/promises";
import { homedir } from "node:os";
import path from "node:path";
import { type ExtensionContext, type LogOutputChannel, workspace } from "vscode";
import { lastLine, run } from "./processes";
import { type Candidate, candidates, expand, parseVersion } from "./pure/serverCandidates";
import { selectedInterpreter } from "./pythonInterpreter";

const VERSION_TIMEOUT_MS = 60_000;

export interface FoundServer extends Candidate {
  readonly version: string;
}

/** The command in fimLsp.server.command does not start fim-lsp. */
export class BadCommandError extends Error {}

/** Return the path of this extension's own virtual environment, which may not exist yet. */
export function ownEnvironment(context: ExtensionContext): string {
  return path.join(context.globalStorageUri.fsPath, "server");
}

/** Return the path of the interpreter inside a virtual environment. */
export function interpreterIn(environment: string): string {
  return process.platform === "win32"
    ? path.join(environment, "Scripts", "python.exe")
    : path.join(environment, "bin", "python");
}

/** Return this extension's own folder, made if needed. Programs run there, never in a workspace. */
export async function ownFolder(context: ExtensionContext): Promise<string> {
  await mkdir(context.globalStorageUri.fsPath, { recursive: true });
  return context.globalStorageUri.fsPath;
}

/**
 * Return the server to start, or undefined if this machine has none.
 *
 * @throws BadCommandError if the user set a command and it is not fim-lsp.
 */
export async function findServer(
  context: ExtensionContext,
  log: LogOutputChannel,
): Promise<FoundServer | undefined> {
  const workspaceFolder = workspace.workspaceFolders?.[0]?.uri.fsPath;
  const setting = workspace.getConfiguration("fimLsp").get<string[]>("server.command", []);
  const sources = {
    setting: setting.map((argument) => expand(argument, homedir(), workspaceFolder)),
    interpreter: await selectedInterpreter(),
    own: interpreterIn(ownEnvironment(context)),
  };
  for (const candidate of candidates(sources)) {
    const { code, stdout, output } = await run(
      { command: candidate.command, args: [...candidate.args, "--version"] },
      { cwd: await ownFolder(context), signal: AbortSignal.timeout(VERSION_TIMEOUT_MS) },
    );
    const version = code === 0 ? parseVersion(stdout) : undefined;
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
