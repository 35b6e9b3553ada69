// The menu behind the status bar item.
import { type QuickPickItem, QuickPickItemKind, commands, window, workspace } from "vscode";
import { appearance } from "./pure/statusAppearance";
import type { Gate } from "./gate";
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

/** Show the menu: what is wrong first, then the switches, then the rest. */
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
  const search: Entry[] = [
    { label: "$(desktop-download) Install the server…", command: ["fimLsp.install"] },
    { label: "$(refresh) Look for the server again", command: ["fimLsp.restart"] },
    SEPARATOR,
  ];
  return [...(server === "missing" ? search : []), LOG, SETTINGS];
}

function remedies({ facts: { missingModel } }: StatusBar): Entry[] {
  if (!missingModel) return [];
  return [
    {
      label: `$(cloud-download) Fetch the model ${missingModel}`,
      command: ["fimLsp.fetchModel", missingModel],
    },
  ];
}

function switches({ permissions }: Gate): Entry[] {
  const language = window.activeTextEditor?.document.languageId;
  const here = workspace.workspaceFolders ? "in this workspace" : "everywhere";
  return [
    { label: turn(permissions.enabled, here), command: ["fimLsp.toggleWorkspace"] },
    ...(language
      ? [
          {
            label: turn(!permissions.disabledLanguages.includes(language), `for ${language}`),
            command: ["fimLsp.toggleLanguage"] as const,
          },
        ]
      : []),
    { label: turn(permissions.session, "until this window closes"), command: ["fimLsp.toggleSession"] },
  ];
}

function turn(on: boolean, where: string): string {
  return on ? `$(circle-slash) Turn off ${where}` : `$(sparkle) Turn on again ${where}`;
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
