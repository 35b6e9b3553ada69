// The gate with its switches: the session's, and those in the settings.
import {
  ConfigurationTarget,
  type Disposable,
  type TextDocument,
  type TextEditor,
  window,
  workspace,
} from "vscode";
import { type Permissions, type Place, agree, whyOff, withLanguage } from "./pure/gateRules";
import { IgnoredFiles } from "./ignoredFiles";
import type { StatusBar } from "./statusBar";

export class Gate implements Disposable {
  private readonly ignored = new IgnoredFiles();
  private readonly listeners: Disposable[];
  private session = true;

  constructor(private readonly status: StatusBar) {
    const refresh = () => void this.refresh();
    this.listeners = [
      window.onDidChangeActiveTextEditor(refresh),
      workspace.onDidChangeConfiguration(refresh),
    ];
    refresh();
  }

  get permissions(): Permissions {
    const completion = workspace.getConfiguration("fimLsp.completion");
    return {
      session: this.session,
      enabled: completion.get("enabled", true),
      disabledLanguages: completion.get<string[]>("disabledLanguages", []),
    };
  }

  /** Whether the server may be asked about this document, by all cursors in it. */
  async allows(document: TextDocument): Promise<boolean> {
    const off = whyOff(this.permissions, document.languageId, await this.ignored.has(document));
    const editor = window.activeTextEditor;
    return off === undefined && (editor?.document !== document || agree(places(editor)));
  }

  /** Open documents that the user keeps out: no other one's prompt may show them either. */
  async ignoredDocuments(): Promise<TextDocument[]> {
    const documents = workspace.textDocuments;
    const ignored = await Promise.all(documents.map((document) => this.ignored.has(document)));
    return documents.filter((_, index) => ignored[index]);
  }

  async toggleSession(): Promise<void> {
    this.session = !this.session;
    await this.refresh();
  }

  async toggleLanguage(language: string): Promise<void> {
    const { disabledLanguages } = this.permissions;
    const off = !disabledLanguages.includes(language);
    await set("disabledLanguages", withLanguage(disabledLanguages, language, off));
  }

  async toggleWorkspace(): Promise<void> {
    await set("enabled", !this.permissions.enabled, workspace.workspaceFolders !== undefined);
  }

  dispose(): void {
    this.ignored.dispose();
    for (const listener of this.listeners) listener.dispose();
  }

  private async refresh(): Promise<void> {
    const document = window.activeTextEditor?.document;
    const ignored = document !== undefined && (await this.ignored.has(document));
    if (document !== window.activeTextEditor?.document) return; // another refresh is on its way
    this.status.update({ off: whyOff(this.permissions, document?.languageId ?? "", ignored) });
  }
}

/** Write a setting where it is already set, else for the workspace or the user. */
async function set(key: string, value: unknown, here = false): Promise<void> {
  const section = workspace.getConfiguration("fimLsp.completion");
  const inWorkspace = here || section.inspect(key)?.workspaceValue !== undefined;
  await section.update(key, value, inWorkspace ? ConfigurationTarget.Workspace : ConfigurationTarget.Global);
}

function places(editor: TextEditor): Place[] {
  return editor.selections.map(({ active }) => {
    const { text } = editor.document.lineAt(active.line);
    return { before: text.slice(0, active.character), after: text.slice(active.character) };
  });
}
