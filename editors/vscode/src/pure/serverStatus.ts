// The server's state, as its notification fimLsp/status carries it.

/** What the server is doing, or what failed. A later server may send codes that are not listed here. */
export type StatusCode =
  | "loading"
  | "ready"
  | "asleep"
  | "disabled"
  | "model_missing"
  | "model_unknown"
  | "model_failed"
  | "template_failed"
  | "completion_failed"
  | "failed";

export interface ServerStatus {
  readonly kind: "Normal" | "Warning" | "Error" | "Inactive";
  /** A sentence for people. Nothing may be read out of it. */
  readonly message: string;
  readonly busy: boolean;
  readonly code: StatusCode;
  /** The model in use, loading or failed: a name in the catalog, or the path of a GGUF file. */
  readonly model: string;
}

/** Return the name of the model that must be fetched first, or undefined if that is not the problem. */
export function missingModel(status: ServerStatus | undefined): string | undefined {
  return status?.code === "model_missing" ? status.model : undefined;
}

/**
 * Return the missing model if a message only repeats a status about it. The server sends the status first,
 * and then a message with the same problem and its remedy.
 */
export function missingModelIn(message: string, status: ServerStatus | undefined): string | undefined {
  return status && message.startsWith(status.message) ? missingModel(status) : undefined;
}
