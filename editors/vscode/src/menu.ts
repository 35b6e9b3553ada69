// The menu behind the status bar item.
import { type QuickPickItem, QuickPickItemKind, commands, window, workspace } from "vscode";
import type { Gate } from "./gate";
import { missingModel } from "./pure/serverStatus";
import { appearance } from "./pure/statusAppearance";
import type { StatusBar } from "./statusBar";

interface Entry extends QuickPickItem {
  readonly command?: readonly [id: string, ...args: unknown[]];
}

const SEPARATOR: Entry = { label: "", kind: QuickPickItemKind.Separator };
const LOG: Entry = { label: "$(output) Show log", command: ["fimLsp.showLog"] };
const SETTINGS: Entry = {
  label: "$(gear) Settings",
  command: ["workbench.action.openSettings", "@ext:fim-lsp.fim-lsp"],
};

/** Show the menu: a remedy for a problem first, then the switches, then the tools. */
export async function showMenu(status: StatusBar, gate: Gate): Promise<void> {
  const { server } = status.facts;
  const entries =
    server === "missing" || server === "installing"
      ? withoutServer(server)
      : [...remedies(status), ...switches(gate), SEPARATOR, ...tools()];
  const picked = await window.showQuickPick<Entry>(entries, {
    title: "fim-lsp",
    placeHolder: appearance(status.facts).tooltip,
  });
  if (picked?.command) await commands.executeCommand(...picked.command);
}

function withoutServer(server: "missing" | "installing"): Entry[] {
  const install: Entry[] = [
    { label: "$(desktop-download) Install the server…", command: ["fimLsp.install"] },
    { label: "$(refresh) Look for the server again", command: ["fimLsp.restart"] },
    SEPARATOR,
  ];
  return [...(server === "missing" ? install : []), LOG, SETTINGS];
}

function remedies({ facts }: StatusBar): Entry[] {
  const model = missingModel(facts.status);
  if (!model) return [];
  return [{ label: `$(cloud-download) Fetch the model ${model}`, command: ["fimLsp.fetchModel", model] }];
}

function switches({ switches: { session, enabled, disabledLanguages } }: Gate): Entry[] {
  const language = window.activeTextEditor?.document.languageId;
  const scope = workspace.workspaceFolders ? "in this workspace" : "everywhere";
  const languageSwitch: Entry[] = language
    ? [switchEntry(!disabledLanguages.includes(language), `for ${language}`, "fimLsp.toggleLanguage")]
    : [];
  return [
    switchEntry(enabled, scope, "fimLsp.toggleWorkspace"),
    ...languageSwitch,
    switchEntry(session, "until this window closes", "fimLsp.toggleSession"),
  ];
}

function switchEntry(on: boolean, scope: string, command: string): Entry {
  const label = on ? `$(circle-slash) Turn off ${scope}` : `$(sparkle) Turn on again ${scope}`;
  return { label, command: [command] };
}

function tools(): Entry[] {
  return [
    { label: "$(package) Pick model…", command: ["fimLsp.pickModel"] },
    { label: "$(layers) Pick adapters…", command: ["fimLsp.pickAdapters"] },
    { label: "$(question) Why this suggestion?", command: ["fimLsp.why"] },
    { label: "$(pulse) Doctor", command: ["fimLsp.doctor"] },
    LOG,
    { label: "$(refresh) Restart the server", command: ["fimLsp.restart"] },
    SETTINGS,
  ];
}
