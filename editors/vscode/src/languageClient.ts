// The language client: what it tells the server, and what it hears.
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
import type { ServerStatus } from "./pure/statusAppearance";
import { recent, restartDelay } from "./pure/restartDelay";
import { showServerMessage } from "./serverMessages";
import type { Gate } from "./gate";
import { leftOut } from "./pure/itemRange";
import { explicitSettings } from "./settings";
import type { StatusBar } from "./statusBar";

/** What a client is made of. */
export interface Parts {
  readonly log: LogOutputChannel;
  readonly status: StatusBar;
  readonly gate: Gate;
  /** The server's settings, by their paths. */
  readonly keys: readonly string[];
}

/** A client for one server, not started yet. */
export function makeClient(executable: Executable, parts: Parts): LanguageClient {
  const options: LanguageClientOptions = {
    documentSelector: ["file", "untitled", "vscode-notebook-cell"].map((scheme) => ({ scheme })),
    initializationOptions: { status: true },
    outputChannel: parts.log,
    revealOutputChannelOn: RevealOutputChannelOn.Never,
    middleware: middleware(parts, async () => tellIgnored(client, parts.gate)),
    errorHandler: {
      error: () => ({ action: ErrorAction.Continue, handled: true }),
      closed: closedHandler(parts),
    },
  };
  const client = new LanguageClient("fimLsp", "fim-lsp", executable, options);
  client.onNotification("fimLsp/status", (status: ServerStatus) => {
    parts.status.update({ server: "running", status });
  });
  client.onNotification(ShowMessageNotification.type, (message) => {
    showServerMessage(message, parts.log);
  });
  return client;
}

function middleware({ gate, status, keys }: Parts, beforeAsking: () => Promise<void>): Middleware {
  return {
    provideInlineCompletionItems: async (document, position, context, token, next) => {
      const { version } = document;
      if (status.facts.server !== "running" || !(await gate.allows(document))) return undefined;
      await beforeAsking();
      if (token.isCancellationRequested || document.version !== version) return undefined;
      const answer = await status.during(Promise.resolve(next(document, position, context, token)));
      const items = Array.isArray(answer) ? answer : answer?.items;
      return items?.map((item) => shown(item, document));
    },
    sendRequest: (type, params, token, next) => {
      const method = typeof type === "string" ? type : type.method;
      return next(type, method === InlineCompletionRequest.method ? withFormatting(params) : params, token);
    },
    handleWorkDoneProgress: (_token, params) => {
      // Shown in our own item, and so not handed on.
      if (params.kind === "report") status.update({ percent: params.percentage });
    },
    workspace: {
      configuration: ({ items }) =>
        items.map(({ section }) => (section === "fimLsp" ? explicitSettings(keys) : null)),
    },
  };
}

/** Only the editor knows what is ignored; each time, as a server that was restarted has forgotten it. */
async function tellIgnored(client: LanguageClient, gate: Gate): Promise<void> {
  const documents = await gate.ignoredDocuments();
  if (documents.length === 0) return;
  const uris = documents.map(({ uri }) => client.code2ProtocolConverter.asUri(uri));
  await client.sendNotification("fimLsp/ignored", { uris });
}

/** The item with a range that VS Code can show. */
function shown(item: InlineCompletionItem, document: TextDocument): InlineCompletionItem {
  if (!item.range || typeof item.insertText !== "string") return item;
  const { start, end } = item.range;
  const units = leftOut(document.getText(item.range), item.insertText);
  const range = new Range(start.translate(0, units), end);
  return new InlineCompletionItem(item.insertText.slice(units), range, item.command);
}

/** How the editor indents this document: beyond the standard, and worth a lot in a file without an indented line. */
function withFormatting<P>(params: P): P {
  const { uri } = (params as InlineCompletionParams).textDocument;
  const shows = ({ document }: { document: TextDocument }) => document.uri.toString() === uri;
  const options = window.visibleTextEditors.find(shows)?.options;
  if (!options) return params;
  const formattingOptions = { tabSize: options.tabSize, insertSpaces: options.insertSpaces };
  return { ...params, formattingOptions };
}

/** Start a server that died again, unless it can't live. */
function closedHandler({ log, status }: Parts): () => Promise<CloseHandlerResult> {
  let crashes: number[] = [];
  return async () => {
    crashes = recent([...crashes, Date.now()], Date.now());
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
