// Makes the language client: what is sent to the server, and what is done with its answers and notifications.
import { setTimeout as sleep } from "node:timers/promises";
import { InlineCompletionItem, type LogOutputChannel, Range, type TextDocument, window } from "vscode";
import {
  CloseAction,
  type CloseHandlerResult,
  ErrorAction,
  type Executable,
  InlineCompletionRequest,
  type InlineCompletionParams,
  LanguageClient,
  type LanguageClientOptions,
  type Middleware,
  RevealOutputChannelOn,
  ShowMessageNotification,
} from "vscode-languageclient/node";
import type { Gate } from "./gate";
import { unitsToCut } from "./pure/itemRange";
import { recentCrashes, restartDelay } from "./pure/restartDelay";
import type { ServerStatus } from "./pure/serverStatus";
import { showServerMessage } from "./serverMessages";
import { userSettings } from "./settings";
import type { StatusBar } from "./statusBar";

/** The other parts of the extension that a client uses. */
export interface Dependencies {
  readonly log: LogOutputChannel;
  readonly status: StatusBar;
  readonly gate: Gate;
  /** The paths of the server's settings. */
  readonly keys: readonly string[];
}

/** The schemes of the documents that the server gets. */
const SCHEMES = ["file", "untitled", "vscode-notebook-cell"];

/** Return whether the server gets a document. */
export function isServed(document: TextDocument): boolean {
  return SCHEMES.includes(document.uri.scheme);
}

/** Make a client for a server. It is not started yet. */
export function makeClient(executable: Executable, dependencies: Dependencies): LanguageClient {
  const options: LanguageClientOptions = {
    documentSelector: SCHEMES.map((scheme) => ({ scheme })),
    initializationOptions: { status: true },
    outputChannel: dependencies.log,
    revealOutputChannelOn: RevealOutputChannelOn.Never,
    middleware: middleware(dependencies, async () => sendIgnored(client, dependencies.gate)),
    errorHandler: {
      error: () => ({ action: ErrorAction.Continue, handled: true }),
      closed: closedHandler(dependencies),
    },
  };
  const client = new LanguageClient("fimLsp", "fim-lsp", executable, options);
  client.onNotification("fimLsp/status", (status: ServerStatus) => {
    dependencies.status.update({ server: "running", status });
  });
  client.onNotification(ShowMessageNotification.type, (message) => {
    showServerMessage(message, dependencies.status.facts.status, dependencies.log);
  });
  return client;
}

function middleware({ gate, status, keys }: Dependencies, beforeRequest: () => Promise<void>): Middleware {
  return {
    provideInlineCompletionItems: async (document, position, context, token, next) => {
      const { version } = document;
      if (status.facts.server !== "running" || !(await gate.allows(document))) return undefined;
      await beforeRequest();
      if (token.isCancellationRequested || document.version !== version) return undefined;
      const request = Promise.resolve(next(document, position, context, token));
      const answer = await status.whilePending(request);
      const items = Array.isArray(answer) ? answer : answer?.items;
      return items?.map((item) => withShowableRange(item, document));
    },
    sendRequest: (type, params, token, next) => {
      const method = typeof type === "string" ? type : type.method;
      return next(type, method === InlineCompletionRequest.method ? withFormatting(params) : params, token);
    },
    handleWorkDoneProgress: (_token, params) => {
      // The status bar item shows the progress, so it is not passed on to VS Code.
      if (params.kind === "report") status.update({ percent: params.percentage });
    },
    workspace: {
      configuration: ({ items }) =>
        items.map(({ section }) => (section === "fimLsp" ? userSettings(keys) : null)),
    },
  };
}

/** Send the list of ignored documents. Sent before each request, because a restarted server has lost it. */
async function sendIgnored(client: LanguageClient, gate: Gate): Promise<void> {
  const documents = await gate.ignoredDocuments();
  if (documents.length === 0) return;
  const uris = documents.map(({ uri }) => client.code2ProtocolConverter.asUri(uri));
  await client.sendNotification("fimLsp/ignored", { uris });
}

/** Cut an item's range to one that VS Code can show; see pure/itemRange.ts. */
function withShowableRange(item: InlineCompletionItem, document: TextDocument): InlineCompletionItem {
  if (!item.range || typeof item.insertText !== "string") return item;
  const { start, end } = item.range;
  const units = unitsToCut(document.getText(item.range), item.insertText);
  const range = new Range(start.translate(0, units), end);
  return new InlineCompletionItem(item.insertText.slice(units), range, item.command);
}

/**
 * Add how the editor indents the document. The specification has no such field; the server uses it where the
 * file has no indented line to learn from.
 */
function withFormatting<P>(params: P): P {
  const { uri } = (params as InlineCompletionParams).textDocument;
  const shows = ({ document }: { document: TextDocument }) => document.uri.toString() === uri;
  const options = window.visibleTextEditors.find(shows)?.options;
  if (!options) return params;
  const formattingOptions = { tabSize: options.tabSize, insertSpaces: options.insertSpaces };
  return { ...params, formattingOptions };
}

/** Make the handler that restarts a server that died, until it dies too often. */
function closedHandler({ log, status }: Dependencies): () => Promise<CloseHandlerResult> {
  let crashes: number[] = [];
  return async () => {
    crashes = recentCrashes([...crashes, Date.now()], Date.now());
    const delay = restartDelay(crashes.length);
    if (delay === undefined) {
      status.update({ server: "failed", problem: `The server died ${crashes.length} times; see the log.` });
      return { action: CloseAction.DoNotRestart, handled: true };
    }
    log.warn(`The server died; starting it again in ${delay} ms.`);
    status.update({ server: "crashed" });
    await sleep(delay);
    return { action: CloseAction.Restart, handled: true };
  };
}
