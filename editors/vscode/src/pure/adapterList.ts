// The setting fimLsp.adapters as a list of switches: a scale of 0 turns an adapter off.

/** An adapter as the server's settings have it. Its other fields (languages, workspaces) are kept as they are. */
export interface Adapter {
  readonly path: string;
  readonly scale?: number;
}

export const isOn = (adapter: Adapter): boolean => adapter.scale !== 0;

/**
 * Turn on the adapters with the given paths, and the others off. A scale that the user chose stays.
 *
 * Example: `[{path: "a", scale: 0.5}, {path: "b"}]` with `["a"]` becomes
 * `[{path: "a", scale: 0.5}, {path: "b", scale: 0}]`.
 */
export function turnOnOnly(adapters: readonly Adapter[], paths: readonly string[]): Adapter[] {
  return adapters.map((adapter) => {
    const on = paths.includes(adapter.path);
    return on === isOn(adapter) ? adapter : { ...adapter, scale: on ? 1 : 0 };
  });
}

/** Append an adapter unless the list has it already. */
export function addAdapter(adapters: readonly Adapter[], path: string): Adapter[] {
  return adapters.some((adapter) => adapter.path === path)
    ? [...adapters]
    : [...adapters, { path, scale: 1 }];
}
