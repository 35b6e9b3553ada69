// The Python interpreter that the user selected in Microsoft's Python extension.
import { PVSC_EXTENSION_ID, PythonExtension } from "@vscode/python-extension";
import { type Disposable, extensions, workspace } from "vscode";

/**
 * Return the path of the selected interpreter, or undefined without the Python extension.
 *
 * Undefined in a workspace that is not trusted, too: the interpreter may lie inside it.
 */
export async function selectedInterpreter(): Promise<string | undefined> {
  const python = await pythonExtension();
  if (!python || !workspace.isTrusted) return undefined;
  const { environments } = python;
  const environment = await environments.resolveEnvironment(environments.getActiveEnvironmentPath());
  return environment?.executable.uri?.fsPath;
}

/** Call back whenever another interpreter is selected. */
export async function onInterpreterSelected(callback: () => void): Promise<Disposable | undefined> {
  const python = await pythonExtension();
  return python?.environments.onDidChangeActiveEnvironmentPath(callback);
}

async function pythonExtension(): Promise<PythonExtension | undefined> {
  return extensions.getExtension(PVSC_EXTENSION_ID) ? PythonExtension.api() : undefined;
}
