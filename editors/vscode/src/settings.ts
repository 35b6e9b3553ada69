// The server's settings in VS Code. Only values that the user set are sent to the server: VS Code would add the
// defaults of package.json, and those would override the user's own file that `fim-lsp model use` writes.
import { ConfigurationTarget, workspace } from "vscode";
import { type Json, isSet, nest } from "./pure/settingValues";

/** Settings of this extension, which the server does not know. */
const EXTENSION_ONLY = /^(server|trace)\./;

/** Return the section `fimLsp` for the server, with the values that the user set. */
export function userSettings(keys: readonly string[]): Record<string, Json> {
  const section = workspace.getConfiguration("fimLsp");
  const set = keys.filter((key) => !EXTENSION_ONLY.test(key) && isSet(section.inspect(key)));
  return nest(set.map((key) => [key, section.get<Json>(key, null)]));
}

/** Return the model that the user set in VS Code, or undefined. */
export function userModel(): string | undefined {
  const values = workspace.getConfiguration("fimLsp").inspect<string>("model.name");
  return values?.workspaceValue ?? values?.globalValue;
}

/**
 * Change a setting: in the workspace if it is set there or `workspace` asks for it, otherwise for the user.
 *
 * @param key The path below `fimLsp`.
 */
export async function updateSetting(
  key: string,
  value: unknown,
  options: { readonly workspace?: boolean } = {},
): Promise<void> {
  const section = workspace.getConfiguration("fimLsp");
  const preferred = options.workspace === true && workspace.workspaceFolders !== undefined;
  const inWorkspace = preferred || section.inspect(key)?.workspaceValue !== undefined;
  await section.update(key, value, inWorkspace ? ConfigurationTarget.Workspace : ConfigurationTarget.Global);
}

interface Category {
  readonly properties: Record<string, unknown>;
}

interface Manifest {
  readonly contributes: { readonly configuration: readonly Category[] };
}

/** List the paths below `fimLsp` of all settings in the manifest. */
export function contributedKeys(manifest: Manifest): string[] {
  const properties = manifest.contributes.configuration.flatMap((category) =>
    Object.keys(category.properties),
  );
  return properties.map((property) => property.replace(/^fimLsp\./, ""));
}
