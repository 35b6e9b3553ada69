// Values of settings: which the user set, and their shape on the wire.

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** The values that VS Code's `inspect` finds for a setting. It finds a default value too, which does not count. */
export interface Inspected {
  readonly globalValue?: unknown;
  readonly workspaceValue?: unknown;
  readonly workspaceFolderValue?: unknown;
}

/** Return whether the user gave the setting a value; `null` and `false` are values. */
export function isSet(inspected: Inspected | undefined): boolean {
  const values = [inspected?.globalValue, inspected?.workspaceValue, inspected?.workspaceFolderValue];
  return values.some((value) => value !== undefined);
}

/** Turn dotted paths into nested objects: `[["model.name", "x"]]` becomes `{model: {name: "x"}}`. */
export function nest(entries: readonly (readonly [string, Json])[]): Record<string, Json> {
  const root: Record<string, Json> = {};
  for (const [path, value] of entries) {
    const keys = path.split(".");
    const last = keys.pop() ?? path;
    let parent = root;
    for (const key of keys) parent = (parent[key] ??= {}) as Record<string, Json>;
    parent[last] = value;
  }
  return root;
}
