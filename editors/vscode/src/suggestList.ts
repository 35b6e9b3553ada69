// Tells the user once that VS Code hides its list of completions beside ghost text, and offers to show both.
import { ConfigurationTarget, type Memento, window, workspace } from "vscode";
import { withList } from "./pure/suggestList";

const TOLD = "suggestListTold";
const SHOW_BOTH = "Show Both";

/**
 * Tell the user, unless the list is shown anyway or the user was told before.
 *
 * @param memory The extension's state of all windows.
 */
export async function tellOfSuggestList(memory: Memento): Promise<void> {
  const editor = workspace.getConfiguration("editor");
  const shown = withList(editor.get("quickSuggestions"));
  if (!shown || memory.get(TOLD)) return;
  await memory.update(TOLD, true);
  const answer = await window.showInformationMessage(
    "VS Code hides its own list of completions while a suggestion of fim-lsp is shown.",
    SHOW_BOTH,
    "Keep It So",
  );
  if (answer === SHOW_BOTH) await editor.update("quickSuggestions", shown, ConfigurationTarget.Global);
}
