// Installing the server into a virtual environment of the extension's own, when the user says so.
import { rm } from "node:fs/promises";
import {
  type ExtensionContext,
  type LogOutputChannel,
  ProgressLocation,
  commands,
  window,
  workspace,
} from "vscode";
import { selectedInterpreter } from "./pythonInterpreter";
import { type Found, interpreterIn, ownEnvironment, ownFolder } from "./findServer";
import { type CommandLine, lastLine, run } from "./processes";

/** The multimodal library takes half of the time that llama.cpp compiles, and serves nothing here. */
const WITHOUT_MULTIMODAL = "-DLLAVA_BUILD=OFF";
const NEW_ENOUGH = "import sys; sys.exit(sys.version_info < (3, 10))";

/** Ask whether to install the server; what to install, if the user agrees. */
export async function askToInstall(found: Found | undefined): Promise<string | undefined> {
  const wanted = workspace.getConfiguration("fimLsp").get("server.package", "fim-lsp");
  const now = found
    ? `fim-lsp ${found.version} is in use (${found.command}). Install another one`
    : "There is no fim-lsp server on this machine yet. Install one";
  const question =
    `${now}, the Python package ${wanted} in an environment of its own? ` +
    "Compiling llama.cpp takes 5 to 15 minutes and needs a C++ compiler.";
  const answer = await window.showInformationMessage(question, "Install", "Set Its Command");
  if (answer === "Set Its Command") {
    await commands.executeCommand("workbench.action.openSettings", "fimLsp.server");
  }
  return answer === "Install" ? wanted : undefined;
}

/** Install a package with pip into the extension's own environment, made anew; whether it is there now. */
export async function install(
  context: ExtensionContext,
  log: LogOutputChannel,
  wanted: string,
): Promise<boolean> {
  const cwd = await ownFolder(context);
  const python = await findPython(cwd);
  if (!python) {
    void window.showErrorMessage("fim-lsp needs Python 3.10 or newer. Install it, then try again.");
    return false;
  }
  const environment = ownEnvironment(context);
  const env = { CMAKE_ARGS: process.env.CMAKE_ARGS ?? WITHOUT_MULTIMODAL };
  const steps: CommandLine[] = [
    { command: python, args: ["-m", "venv", "--clear", environment] },
    { command: interpreterIn(environment), args: ["-m", "pip", "install", "--progress-bar", "off", wanted] },
  ];
  const progress = {
    location: ProgressLocation.Notification,
    title: "Installing fim-lsp",
    cancellable: true,
  };
  return window.withProgress(progress, async (report, token) => {
    const abort = new AbortController();
    token.onCancellationRequested(() => {
      abort.abort();
    });
    for (const step of steps) {
      const onLine = (message: string) => {
        log.info(message);
        report.report({ message });
      };
      const { code, output } = await run(step, { cwd, env, signal: abort.signal, onLine });
      if (code !== 0) {
        await rm(environment, { recursive: true, force: true });
        if (!token.isCancellationRequested) complain(log, lastLine(output));
        return false;
      }
    }
    return true;
  });
}

/** A Python that is new enough: the selected one, else the one on PATH. */
async function findPython(cwd: string): Promise<string | undefined> {
  for (const command of [await selectedInterpreter(), "python3", "python"]) {
    if (command && (await run({ command, args: ["-c", NEW_ENOUGH] }, { cwd })).code === 0) return command;
  }
  return undefined;
}

function complain(log: LogOutputChannel, reason: string): void {
  void window
    .showErrorMessage(`fim-lsp could not be installed: ${reason.replace(/^ERROR: /, "")}`, "Show Log")
    .then((answer) => {
      if (answer) log.show();
    });
}
