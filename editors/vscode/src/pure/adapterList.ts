// The setting fimLsp.adapters as a list of switches: a scale of 0 is off.

/** As in the server's settings; languages and workspaces, which are left alone here, besides. */
export interface Adapter {
  readonly path: string;
  readonly scale?: number;
}

export const isOn = (adapter: Adapter): boolean => adapter.scale !== 0;

/** The list with exactly the adapters of these paths on; a scale that was chosen stays. */
export function switched(adapters: readonly Adapter[], on: readonly string[]): Adapter[] {
  return adapters.map((adapter) => {
    const wanted = on.includes(adapter.path);
    if (wanted === isOn(adapter)) return adapter;
    return { ...adapter, scale: wanted ? 1 : 0 };
  });
}

/** The list with one more adapter, unless it is there. */
export function added(adapters: readonly Adapter[], path: string): Adapter[] {
  return adapters.some((adapter) => adapter.path === path)
    ? [...adapters]
    : [...adapters, { path, scale: 1 }];
}
