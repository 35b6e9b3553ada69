// The Python interpreter that the user selected, as Microsoft's Python extension knows it.
import { PVSC_EXTENSION_ID, PythonExtension } from "@vscode/python-extension";
import { type Disposable, extensions, workspace } from "vscode";

/**
 * The selected interpreter's file, or undefined without the Python extension.
 *
 * In a workspace that is not trusted nothing is taken: the interpreter may lie inside it.
 */
export async function selectedInterpreter(): Promise<string | undefined> {
  const python = await pythonExtension();
  if (!python || !workspace.isTrusted) return undefined;
  const { environments } = python;
  const environment = await environments.resolveEnvironment(environments.getActiveEnvironmentPath());
  return environment?.executable.uri?.fsPath;
}

/** Calls back whenever another interpreter is selected. */
export async function onInterpreterSelected(changed: () => void): Promise<Disposable | undefined> {
  const python = await pythonExtension();
  return python?.environments.onDidChangeActiveEnvironmentPath(changed);
}

async function pythonExtension(): Promise<PythonExtension | undefined> {
  return extensions.getExtension(PVSC_EXTENSION_ID) ? PythonExtension.api() : undefined;
}
