// Tells the server where the cursor rests, so that it can evaluate the prompt there before the first key.
import { type Disposable, type TextEditor, window } from "vscode";
import type { Gate } from "./gate";
import { type CursorPlace, REST_MS, movedWithoutTyping } from "./pure/cursorRest";
import type { Server } from "./server";

export class CursorNotices implements Disposable {
  private timer: NodeJS.Timeout | undefined;
  private last: CursorPlace | undefined;
  private readonly listeners: Disposable[];

  constructor(
    private readonly server: Server,
    private readonly gate: Gate,
  ) {
    this.listeners = [
      window.onDidChangeTextEditorSelection(({ textEditor }) => {
        this.moved(textEditor);
      }),
      window.onDidChangeActiveTextEditor((editor) => {
        if (editor) this.moved(editor);
      }),
      window.onDidChangeWindowState(({ focused }) => {
        if (focused && window.activeTextEditor) this.moved(window.activeTextEditor);
      }),
    ];
  }

  dispose(): void {
    clearTimeout(this.timer);
    for (const listener of this.listeners) listener.dispose();
  }

  private moved(editor: TextEditor): void {
    if (editor !== window.activeTextEditor) return;
    const now = { uri: editor.document.uri.toString(), version: editor.document.version };
    const wanted = movedWithoutTyping(this.last, now);
    this.last = now;
    clearTimeout(this.timer);
    if (wanted) this.timer = setTimeout(() => void this.tell(editor), REST_MS);
  }

  private async tell(editor: TextEditor): Promise<void> {
    const { document, selection } = editor;
    if (!window.state.focused || document.isClosed || !(await this.gate.allows(document))) return;
    await this.server.notifyCursor(document, selection.active);
  }
}
