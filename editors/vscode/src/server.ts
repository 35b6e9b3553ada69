// The server's life cycle: find, start, restart and stop it, one step at a time.
import {
  type Disposable,
  type ExtensionContext,
  type Position,
  type Range,
  type TextDocument,
  workspace,
} from "vscode";
import { type LanguageClient, State } from "vscode-languageclient/node";
import { type FoundServer, findServer, ownFolder } from "./findServer";
import { askToInstall, install } from "./installServer";
import { type Dependencies, isServed, makeClient } from "./languageClient";
import type { ExpectedAnswer } from "./pure/expectedAnswer";
import { type CommandLine, type Outcome, type RunOptions, run } from "./processes";
import { onInterpreterSelected } from "./pythonInterpreter";

export class Server implements Disposable {
  private client: LanguageClient | undefined;
  private found: FoundServer | undefined;
  /** Resolves when the last start or stop is done; the next one waits for it. */
  private lastStep: Promise<void> = Promise.resolve();
  private installing = false;
  private readonly listeners: Disposable[] = [];

  constructor(
    private readonly context: ExtensionContext,
    private readonly dependencies: Dependencies,
  ) {
    this.listeners.push(
      workspace.onDidChangeConfiguration((change) => {
        if (change.affectsConfiguration("fimLsp.server.command")) void this.restart();
      }),
      workspace.onDidGrantWorkspaceTrust(() => void this.restart()),
    );
    void onInterpreterSelected(() => {
      if (this.found?.origin !== "setting") void this.restart();
    }).then((listener) => {
      if (listener) this.listeners.push(listener);
    });
  }

  /** Stop the running server, find the server again, and start it. Calls wait for one another. */
  restart(): Promise<void> {
    this.lastStep = this.lastStep.then(() => this.stopNow()).then(() => this.startNow());
    return this.lastStep;
  }

  stop(): Promise<void> {
    this.lastStep = this.lastStep.then(() => this.stopNow());
    return this.lastStep;
  }

  /** Install the server if the user agrees, and start it. */
  async install(): Promise<void> {
    const packageName = this.installing ? undefined : await askToInstall(this.found);
    if (packageName && !this.installing) await this.installNow(packageName);
  }

  /** Run a command of the language server, such as `fimLsp.explain`. Undefined while no server runs. */
  async execute<T>(command: string, ...args: unknown[]): Promise<T | undefined> {
    if (!this.client?.isRunning()) return undefined;
    return this.client.sendRequest<T>("workspace/executeCommand", { command, arguments: args });
  }

  /** Tell the server where the cursor rests. Nothing is sent while no server runs. */
  async notifyCursor(document: TextDocument, position: Position): Promise<void> {
    if (!this.client?.isRunning() || !isServed(document)) return;
    const params = this.client.code2ProtocolConverter.asTextDocumentPositionParams(document, position);
    await this.client.sendNotification("fimLsp/cursor", params);
  }

  /** Tell the server that the user refused the suggestion shown in a document. */
  async notifyDismissed(document: TextDocument): Promise<void> {
    if (!this.client?.isRunning() || !isServed(document)) return;
    const uri = this.client.code2ProtocolConverter.asUri(document.uri);
    await this.client.sendNotification("fimLsp/dismissed", { uri });
  }

  /** Record the text of a range as what should have been suggested there. Undefined while no server runs. */
  async recordExpected(document: TextDocument, range: Range): Promise<ExpectedAnswer | undefined> {
    if (!this.client?.isRunning()) return undefined;
    const { code2ProtocolConverter: converter } = this.client;
    const place = { uri: converter.asUri(document.uri), range: converter.asRange(range) };
    return this.execute<ExpectedAnswer>("fimLsp.expected", place);
  }

  /** Run a subcommand of the command line, such as `doctor` or `model pull`. Undefined without a server. */
  async runCommand(
    args: readonly string[],
    options: Omit<RunOptions, "cwd"> = {},
  ): Promise<Outcome | undefined> {
    if (!this.found) return undefined;
    const line: CommandLine = { command: this.found.command, args: [...this.found.args, ...args] };
    return run(line, { ...options, cwd: await ownFolder(this.context) });
  }

  dispose(): void {
    for (const listener of this.listeners) listener.dispose();
    void this.stop();
  }

  private async installNow(packageName: string): Promise<void> {
    const { log, status } = this.dependencies;
    this.installing = true;
    if (!this.found) status.update({ server: "installing" });
    try {
      if (await install(this.context, log, packageName)) await this.restart();
      else if (!this.found) status.update({ server: "missing" });
    } finally {
      this.installing = false;
    }
  }

  private async stopNow(): Promise<void> {
    const { client } = this;
    this.client = undefined;
    if (!client) return;
    try {
      // A client that is being restarted after a crash can't be stopped before it runs.
      if (client.state === State.Starting) await client.start();
      await client.dispose();
    } catch (error) {
      this.dependencies.log.warn(`Stopping the server: ${String(error)}`);
    }
  }

  private async startNow(): Promise<void> {
    const { log, status } = this.dependencies;
    status.update({ server: "searching", problem: undefined });
    try {
      this.found = await findServer(this.context, log);
      if (!this.found) {
        status.update({ server: "missing" });
        void this.install();
        return;
      }
      status.update({ server: "starting" });
      const { command, args } = this.found;
      const cwd = await ownFolder(this.context);
      this.client = makeClient({ command, args: [...args, "--stdio"], options: { cwd } }, this.dependencies);
      await this.client.start();
      status.update({ server: "running" });
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error);
      log.error(problem);
      status.update({ server: "failed", problem });
    }
  }
}
