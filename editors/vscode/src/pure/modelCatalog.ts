// The models that `fim-lsp model list --json` tells of.

export interface Model {
  readonly name: string;
  readonly title: string;
  readonly sizeBytes: number;
  readonly memoryMb: number;
  readonly licence: string;
  /** Whether it was trained for fill-in-the-middle. */
  readonly tuned: boolean;
  /** Whether its file is on this machine. */
  readonly here: boolean;
}

/** The list, or nothing where an older server printed no JSON. */
export function readCatalog(stdout: string): Model[] {
  try {
    const list: unknown = JSON.parse(stdout);
    return Array.isArray(list) ? list.filter(isModel) : [];
  } catch {
    return [];
  }
}

function isModel(value: unknown): value is Model {
  return typeof value === "object" && value !== null && "name" in value && "sizeBytes" in value;
}

/** One line about a model: `98 MB, 350 MB of memory, Apache-2.0, not tuned for fill-in-the-middle`. */
export function describe(model: Model): string {
  const facts = [inBytes(model.sizeBytes), `${inBytes(model.memoryMb * 1e6)} of memory`, model.licence];
  return [...facts, ...(model.tuned ? [] : ["not tuned for fill-in-the-middle"])].join(", ");
}

function inBytes(count: number): string {
  return count < 1e9 ? `${Math.round(count / 1e6)} MB` : `${(count / 1e9).toFixed(1)} GB`;
}

/**
 * Whether a model is the one in use: what the editor's settings name, else what the server says that it
 * loaded, which may be the choice of `fim-lsp model use`; there, adapters follow the title.
 */
export function isInUse(model: Model, chosen: string | undefined, loaded: string): boolean {
  if (chosen !== undefined) return model.name === chosen;
  return loaded === model.title || loaded.startsWith(`${model.title} + `);
}
