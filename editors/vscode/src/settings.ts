// The server's settings as VS Code holds them. Only what somebody set is passed on: VS Code would fill in
// the defaults of package.json, and those would win over the user's own file that `fim-lsp model use` writes.
import { workspace } from "vscode";
import { type Json, nested, wasSet } from "./pure/settingValues";

/** Settings of this extension, which the server does not know. */
const OURS = /^(server|trace)\./;

/** The section `fimLsp` for the server: what was set, by its path. */
export function explicitSettings(keys: readonly string[]): Record<string, Json> {
  const section = workspace.getConfiguration("fimLsp");
  const set = keys.filter((key) => !OURS.test(key) && wasSet(section.inspect(key)));
  return nested(set.map((key) => [key, section.get<Json>(key, null)]));
}

interface Category {
  readonly properties: Record<string, unknown>;
}

interface Manifest {
  readonly contributes: { readonly configuration: readonly Category[] };
}

/** The paths below `fimLsp` of every setting that the manifest contributes. */
export function contributedKeys(manifest: Manifest): string[] {
  const properties = manifest.contributes.configuration.flatMap((category) =>
    Object.keys(category.properties),
  );
  return properties.map((property) => property.replace(/^fimLsp\./, ""));
}
