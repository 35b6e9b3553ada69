// All commands of the extension.
import { type Disposable, type LogOutputChannel, commands, window } from "vscode";
import { pickAdapters } from "./adapterPicker";
import { recordExpected } from "./expected";
import type { Gate } from "./gate";
import { showMenu } from "./menu";
import { fetchModel, offerModel, pickModel } from "./modelPicker";
import type { Pages } from "./pages";
import type { Server } from "./server";
import type { StatusBar } from "./statusBar";

/** VS Code's own commands, under names that users find in the command palette. */
const EDITOR_COMMANDS = {
  "fimLsp.trigger": "editor.action.inlineSuggest.trigger",
  "fimLsp.acceptAll": "editor.action.inlineSuggest.commit",
  "fimLsp.acceptWord": "editor.action.inlineSuggest.acceptNextWord",
  "fimLsp.acceptLine": "editor.action.inlineSuggest.acceptNextLine",
  "fimLsp.showNext": "editor.action.inlineSuggest.showNext",
  "fimLsp.showPrevious": "editor.action.inlineSuggest.showPrevious",
};

/** Hide the suggestion, and tell the server that the user refused it: it is not shown at this place again. */
async function dismiss(server: Server): Promise<void> {
  const document = window.activeTextEditor?.document;
  await commands.executeCommand("editor.action.inlineSuggest.hide");
  if (document) await server.notifyDismissed(document);
}

/** Register every command. */
export function registerCommands(
  server: Server,
  status: StatusBar,
  gate: Gate,
  pages: Pages,
  log: LogOutputChannel,
): Disposable[] {
  const own: Record<string, (...args: never[]) => unknown> = {
    "fimLsp.menu": () => showMenu(status, gate),
    "fimLsp.toggleSession": () => gate.toggleSession(),
    "fimLsp.toggleWorkspace": () => gate.toggleWorkspace(),
    "fimLsp.toggleLanguage": () => gate.toggleLanguage(window.activeTextEditor?.document.languageId ?? ""),
    "fimLsp.pickModel": () => pickModel(server, status),
    "fimLsp.fetchModel": (name?: string) => (name ? fetchModel(server, name) : pickModel(server, status)),
    // Not in the command palette: run when the server reports a missing model.
    "fimLsp.offerModel": (name: string) => offerModel(server, status, name),
    "fimLsp.pickAdapters": () => pickAdapters(),
    "fimLsp.dismiss": () => dismiss(server),
    "fimLsp.recordExpected": () => recordExpected(server),
    "fimLsp.why": () => pages.explain(),
    "fimLsp.doctor": () => pages.doctor(),
    "fimLsp.showLog": () => {
      log.show();
    },
    "fimLsp.restart": () => server.restart(),
    "fimLsp.install": () => server.install(),
  };
  return [
    ...Object.entries(own).map(([id, handler]) => commands.registerCommand(id, handler)),
    ...Object.entries(EDITOR_COMMANDS).map(([id, command]) =>
      commands.registerCommand(id, () => commands.executeCommand(command)),
    ),
  ];
}
