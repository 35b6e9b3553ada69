// The catalog of models, as `fim-lsp model list --json` prints it.

export interface Model {
  readonly name: string;
  readonly title: string;
  readonly sizeBytes: number;
  readonly memoryMb: number;
  readonly licence: string;
  /** Whether the model was trained for fill-in-the-middle. */
  readonly tuned: boolean;
  /** Whether the file is on this machine. */
  readonly here: boolean;
}

/** Parse the catalog; empty if the output is not JSON, for example without a server. */
export function parseCatalog(stdout: string): Model[] {
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

/** Describe a model in one line: `98 MB, 350 MB of memory, Apache-2.0, not tuned for fill-in-the-middle`. */
export function describe(model: Model): string {
  const facts = [
    formatBytes(model.sizeBytes),
    `${formatBytes(model.memoryMb * 1e6)} of memory`,
    model.licence,
  ];
  return [...facts, ...(model.tuned ? [] : ["not tuned for fill-in-the-middle"])].join(", ");
}

function formatBytes(count: number): string {
  return count < 1e9 ? `${Math.round(count / 1e6)} MB` : `${(count / 1e9).toFixed(1)} GB`;
}
