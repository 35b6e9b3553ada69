// Every command of the extension.
import { type Disposable, type LogOutputChannel, commands, window } from "vscode";
import { pickAdapters } from "./adapterPicker";
import { showMenu } from "./menu";
import { fetchModel, offerModel, pickModel } from "./modelPicker";
import type { Pages } from "./pages";
import type { Gate } from "./gate";
import type { Server } from "./server";
import type { StatusBar } from "./statusBar";

/** The editor's own commands under names that users find in the palette. */
const EDITOR_COMMANDS = {
  "fimLsp.trigger": "editor.action.inlineSuggest.trigger",
  "fimLsp.acceptAll": "editor.action.inlineSuggest.commit",
  "fimLsp.acceptWord": "editor.action.inlineSuggest.acceptNextWord",
  "fimLsp.acceptLine": "editor.action.inlineSuggest.acceptNextLine",
  "fimLsp.showNext": "editor.action.inlineSuggest.showNext",
  "fimLsp.showPrevious": "editor.action.inlineSuggest.showPrevious",
};

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
    // Not in the palette: the server's own word leads here.
    "fimLsp.offerModel": (name: string) => offerModel(server, status, name),
    "fimLsp.pickAdapters": () => pickAdapters(),
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
