// Shows the server's messages, with buttons for what the user can do about them.
import { type LogOutputChannel, commands, window } from "vscode";
import { MessageType, type ShowMessageParams } from "vscode-languageclient/node";
import { type ServerStatus, missingModelIn } from "./pure/serverStatus";

interface Choice {
  readonly title: string;
  readonly choose: () => unknown;
}

/**
 * Show a message of the server's. A missing model is offered for download instead.
 *
 * @param status The status that the server sent last.
 */
export function showServerMessage(
  { type, message }: ShowMessageParams,
  status: ServerStatus | undefined,
  log: LogOutputChannel,
): void {
  const showLog: Choice = {
    title: "Show Log",
    choose: () => {
      log.show();
    },
  };
  const missing = missingModelIn(message, status);
  if (missing) {
    void commands.executeCommand("fimLsp.offerModel", missing);
  } else if (type === MessageType.Error) {
    ask(window.showErrorMessage, message, [command("Pick Model", "fimLsp.pickModel"), showLog]);
  } else if (type === MessageType.Warning) {
    const settings = command("Open Settings", "workbench.action.openSettings", "@ext:fim-lsp.fim-lsp");
    ask(window.showWarningMessage, message, [settings, showLog]);
  } else {
    ask(window.showInformationMessage, message, []);
  }
}

function command(title: string, id: string, ...args: unknown[]): Choice {
  return { title, choose: () => commands.executeCommand(id, ...args) };
}

type Show = (message: string, ...choices: Choice[]) => Thenable<Choice | undefined>;

function ask(show: Show, message: string, choices: Choice[]): void {
  void show(message, ...choices).then((choice) => choice?.choose());
}
