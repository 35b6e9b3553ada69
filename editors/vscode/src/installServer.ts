// Installs the server into a virtual environment of the extension's own, if the user agrees.
import { rm } from "node:fs/promises";
import { type ExtensionContext, type LogOutputChannel, commands, window, workspace } from "vscode";
import { type FoundServer, interpreterIn, ownEnvironment, ownFolder } from "./findServer";
import { type CommandLine, lastLine, run } from "./processes";
import { withCancellableProgress } from "./progress";
import { selectedInterpreter } from "./pythonInterpreter";

/** Without the multimodal library, which takes half of llama.cpp's compile time and is not used here. */
const WITHOUT_MULTIMODAL = "-DLLAVA_BUILD=OFF";
const CHECK_VERSION = "import sys; sys.exit(sys.version_info < (3, 10))";

/** Ask the user whether to install the server. Return the package to install, or undefined if they decline. */
export async function askToInstall(found: FoundServer | undefined): Promise<string | undefined> {
  const packageName = workspace.getConfiguration("fimLsp").get("server.package", "fim-lsp");
  const situation = found
    ? `fim-lsp ${found.version} is in use (${found.command}). Install another one`
    : "There is no fim-lsp server on this machine yet. Install one";
  const question =
    `${situation}, the Python package ${packageName} in an environment of its own? ` +
    "Compiling llama.cpp takes 5 to 15 minutes and needs a C++ compiler.";
  const answer = await window.showInformationMessage(question, "Install", "Set Its Command");
  if (answer === "Set Its Command") {
    await commands.executeCommand("workbench.action.openSettings", "fimLsp.server");
  }
  return answer === "Install" ? packageName : undefined;
}

/**
 * Install a package with pip into the extension's own environment, which is replaced.
 *
 * @returns Whether it is installed now. After a failure or a cancel nothing is left of it.
 */
export async function install(
  context: ExtensionContext,
  log: LogOutputChannel,
  packageName: string,
): Promise<boolean> {
  const cwd = await ownFolder(context);
  const python = await findPython(cwd);
  if (!python) {
    void window.showErrorMessage("fim-lsp needs Python 3.10 or newer. Install it, then try again.");
    return false;
  }
  const environment = ownEnvironment(context);
  const env = { CMAKE_ARGS: process.env.CMAKE_ARGS ?? WITHOUT_MULTIMODAL };
  const pip = ["-m", "pip", "install", "--progress-bar", "off"];
  const steps: CommandLine[] = [
    { command: python, args: ["-m", "venv", "--clear", environment] },
    { command: interpreterIn(environment), args: [...pip, packageName] },
  ];
  return withCancellableProgress("Installing fim-lsp", async (report, signal) => {
    for (const step of steps) {
      const onLine = (line: string) => {
        log.info(line);
        report(line);
      };
      const { code, output } = await run(step, { cwd, env, signal, onLine });
      if (code !== 0) {
        await rm(environment, { recursive: true, force: true });
        if (!signal.aborted) showFailure(log, lastLine(output));
        return false;
      }
    }
    return true;
  });
}

/** Find a Python that is new enough: the selected one, otherwise the one on the path. */
async function findPython(cwd: string): Promise<string | undefined> {
  for (const command of [await selectedInterpreter(), "python3", "python"]) {
    if (command && (await run({ command, args: ["-c", CHECK_VERSION] }, { cwd })).code === 0) return command;
  }
  return undefined;
}

function showFailure(log: LogOutputChannel, reason: string): void {
  void window
    .showErrorMessage(`fim-lsp could not be installed: ${reason.replace(/^ERROR: /, "")}`, "Show Log")
    .then((answer) => {
      if (answer) log.show();
    });
}
