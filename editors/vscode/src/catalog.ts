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

/** One line about a model: `98 MB, Apache-2.0, not tuned for fill-in-the-middle`. */
export function describe(model: Model): string {
  const size = `${Math.round(model.sizeBytes / 1e6)} MB`;
  const memory = `${model.memoryMb} MB of memory`;
  return [size, memory, model.licence, ...(model.tuned ? [] : ["not tuned for fill-in-the-middle"])].join(
    ", ",
  );
}
