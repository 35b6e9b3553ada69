// Records what should have been suggested, so that models and settings can be evaluated with it.
import { window } from "vscode";
import { problemIn, recordedMessage } from "./pure/expectedAnswer";
import type { Server } from "./server";

/** Record the selected text as what should have been suggested there. */
export async function recordExpected(server: Server): Promise<void> {
  const editor = window.activeTextEditor;
  if (!editor || editor.selection.isEmpty) {
    void window.showInformationMessage("fim-lsp: Select the text that should have been suggested.");
    return;
  }
  const answer = await server.recordExpected(editor.document, editor.selection);
  const problem = problemIn(answer);
  if (answer && problem === undefined) {
    void window.showInformationMessage(`fim-lsp: ${recordedMessage(answer)}`);
  } else {
    void window.showWarningMessage(`fim-lsp: ${problem}`);
  }
}
