// The entry point: make the parts, register the commands, start the server.
import { type ExtensionContext, window } from "vscode";
import { registerCommands } from "./commands";
import { CursorNotices } from "./cursorNotices";
import { Gate } from "./gate";
import { Pages } from "./pages";
import { Server } from "./server";
import { contributedKeys } from "./settings";
import { StatusBar } from "./statusBar";
import { tellOfSuggestList } from "./suggestList";

/** Start the extension. VS Code calls this once for each window. */
export async function activate(context: ExtensionContext): Promise<void> {
  const log = window.createOutputChannel("fim-lsp", { log: true });
  const status = new StatusBar();
  const gate = new Gate(status);
  const keys = contributedKeys(context.extension.packageJSON as Parameters<typeof contributedKeys>[0]);
  const server = new Server(context, { log, status, gate, keys });
  const pages = new Pages(server);
  // Disposed in this order when the window closes. The server ends by itself when its input ends.
  context.subscriptions.push(new CursorNotices(server, gate), server, pages, gate, status, log);
  context.subscriptions.push(...registerCommands(server, status, gate, pages, log));
  await server.restart();
  if (status.facts.server === "running") void tellOfSuggestList(context.globalState);
}
