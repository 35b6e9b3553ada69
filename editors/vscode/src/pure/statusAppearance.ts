// What the status bar shows: facts in, text and tooltip out.

/** The server's own word, as in its notification fimLsp/status. */
export interface ServerStatus {
  readonly kind: "Normal" | "Warning" | "Error" | "Inactive";
  readonly message: string;
  readonly busy: boolean;
}

export interface Facts {
  readonly server: "searching" | "missing" | "installing" | "starting" | "running" | "crashed" | "failed";
  /** Why the server is missing or failed. */
  readonly problem?: string | undefined;
  readonly status?: ServerStatus | undefined;
  /** Of the loading of the model. */
  readonly percent?: number | undefined;
  /** The model that must be fetched first. */
  readonly missingModel?: string | undefined;
  /** Requests that wait for an answer. */
  readonly pending: number;
  /** Why nothing is offered in the active document. */
  readonly off?: string | undefined;
}

export interface Appearance {
  readonly text: string;
  readonly tooltip: string;
  /** What a click on it is good for, beyond the menu. */
  readonly click?: string;
  readonly severity?: "warning" | "error";
}

const STARTING: Appearance = { text: "$(loading~spin) fim", tooltip: "Starting" };

/** The most important fact wins: a server that can't run, then its model, then what the user turned off. */
export function appearance(facts: Facts): Appearance {
  return serverTrouble(facts) ?? modelTrouble(facts) ?? switchedOff(facts) ?? ready(facts);
}

function serverTrouble({ server, problem, status }: Facts): Appearance | undefined {
  switch (server) {
    case "missing":
      return {
        text: "$(warning) fim: no server",
        tooltip: "The server is not installed.",
        click: "Click to install it.",
        severity: "warning",
      };
    case "installing":
      return { text: "$(loading~spin) fim: installing", tooltip: "The server is being installed." };
    case "failed":
      return { text: "$(error) fim", tooltip: problem ?? "The server does not start.", severity: "error" };
    case "crashed":
      return { text: "$(sync~spin) fim", tooltip: "The server died and is being started again." };
    case "searching":
    case "starting":
      return STARTING;
    case "running":
      return status ? undefined : STARTING; // its first word is that it loads the model
  }
}

function modelTrouble({ status, missingModel, percent }: Facts): Appearance | undefined {
  if (missingModel) {
    return {
      text: "$(cloud-download) fim: no model",
      tooltip: `The model ${missingModel} is not here yet.`,
      click: "Click to fetch it or to pick another.",
      severity: "warning",
    };
  }
  if (status?.kind === "Error") return { text: "$(error) fim", tooltip: status.message, severity: "error" };
  if (!status?.busy) return undefined;
  const part = percent === undefined ? "" : ` ${percent}%`;
  return { text: `$(loading~spin) fim${part}`, tooltip: `${status.message}${part}` };
}

function switchedOff({ off, status }: Facts): Appearance | undefined {
  if (off) return { text: "$(circle-slash) fim", tooltip: `Completions are ${off}` };
  return status?.kind === "Inactive" ? { text: "$(circle-slash) fim", tooltip: status.message } : undefined;
}

function ready({ status, pending }: Facts): Appearance {
  if (status?.kind === "Warning") {
    return { text: "$(warning) fim", tooltip: status.message, severity: "warning" };
  }
  if (pending > 0) return { text: "$(loading~spin) fim", tooltip: "Completing" };
  return { text: "$(sparkle) fim", tooltip: status?.message ? `Ready: ${status.message}` : "Ready" };
}

/** The model's name in the server's word that it must be fetched first. */
export function missingModelIn(message: string): string | undefined {
  return /^The model (\S+) is not here yet\./.exec(message)?.[1];
}
