// Decides whether the server is asked, from the switches in the session and the settings.
import { type Disposable, type TextDocument, type TextEditor, window, workspace } from "vscode";
import { IgnoredFiles } from "./ignoredFiles";
import { type CursorLine, type Switches, disabledReason, haveSameLine, setDisabled } from "./pure/gateRules";
import { updateSetting } from "./settings";
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

  get switches(): Switches {
    const completion = workspace.getConfiguration("fimLsp.completion");
    return {
      session: this.session,
      enabled: completion.get("enabled", true),
      disabledLanguages: completion.get<string[]>("disabledLanguages", []),
    };
  }

  /** Return whether the server may be asked about a document, for all cursors in it. */
  async allows(document: TextDocument): Promise<boolean> {
    const reason = disabledReason(this.switches, document.languageId, await this.ignored.has(document));
    const editor = window.activeTextEditor;
    return reason === undefined && (editor?.document !== document || haveSameLine(cursorLines(editor)));
  }

  /** List the open documents that are ignored. The server must not show them in the prompts of others. */
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
    const { disabledLanguages } = this.switches;
    const disable = !disabledLanguages.includes(language);
    await updateSetting("completion.disabledLanguages", setDisabled(disabledLanguages, language, disable));
  }

  async toggleWorkspace(): Promise<void> {
    await updateSetting("completion.enabled", !this.switches.enabled, { workspace: true });
  }

  dispose(): void {
    this.ignored.dispose();
    for (const listener of this.listeners) listener.dispose();
  }

  private async refresh(): Promise<void> {
    const document = window.activeTextEditor?.document;
    const ignored = document !== undefined && (await this.ignored.has(document));
    if (document !== window.activeTextEditor?.document) return; // a later refresh shows the other document
    const reason = disabledReason(this.switches, document?.languageId ?? "", ignored);
    this.status.update({ disabledReason: reason });
  }
}

function cursorLines(editor: TextEditor): CursorLine[] {
  return editor.selections.map(({ active }) => {
    const { text } = editor.document.lineAt(active.line);
    return { before: text.slice(0, active.character), after: text.slice(active.character) };
  });
}
