// Which settings somebody set, and their shape on the wire.

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** What VS Code's `inspect` tells of a setting; default values besides, which are nobody's choice. */
export interface Inspected {
  readonly globalValue?: unknown;
  readonly workspaceValue?: unknown;
  readonly workspaceFolderValue?: unknown;
}

/** Whether anybody but the defaults gave the setting a value. */
export function wasSet(inspected: Inspected | undefined): boolean {
  const values = [inspected?.globalValue, inspected?.workspaceValue, inspected?.workspaceFolderValue];
  return values.some((value) => value !== undefined);
}

/** `[["model.name", "x"]]` as `{model: {name: "x"}}`. */
export function nested(entries: readonly (readonly [string, Json])[]): Record<string, Json> {
  const root: Record<string, Json> = {};
  for (const [path, value] of entries) {
    const keys = path.split(".");
    const last = keys.pop() ?? path;
    let here = root;
    for (const key of keys) here = (here[key] ??= {}) as Record<string, Json>;
    here[last] = value;
  }
  return root;
}
