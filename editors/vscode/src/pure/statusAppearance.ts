// The status bar item's look, computed from what the extension knows.
import { type ServerStatus, missingModel } from "./serverStatus";

export interface Facts {
  readonly server: "searching" | "missing" | "installing" | "starting" | "running" | "crashed" | "failed";
  /** Why the server is missing or failed. */
  readonly problem?: string | undefined;
  readonly status?: ServerStatus | undefined;
  /** How much of the model is loaded. */
  readonly percent?: number | undefined;
  /** Requests that wait for an answer. */
  readonly pending: number;
  /** Why the active document gets no suggestions: `off for python`. */
  readonly disabledReason?: string | undefined;
}

export interface Appearance {
  readonly text: string;
  readonly tooltip: string;
  /** What a click does, beyond opening the menu. */
  readonly click?: string;
  readonly severity?: "warning" | "error";
}

const STARTING: Appearance = { text: "$(loading~spin) fim", tooltip: "Starting" };

/** Return the look of the most important fact: first the server's problems, then its model's, then switches. */
export function appearance(facts: Facts): Appearance {
  return serverProblem(facts) ?? modelProblem(facts) ?? disabled(facts) ?? ready(facts);
}

function serverProblem({ server, problem, status }: Facts): Appearance | undefined {
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
      return status ? undefined : STARTING; // the first status comes when the model begins to load
  }
}

function modelProblem({ status, percent }: Facts): Appearance | undefined {
  const missing = missingModel(status);
  if (missing) {
    return {
      text: "$(cloud-download) fim: no model",
      tooltip: `The model ${missing} is not here yet.`,
      click: "Click to fetch it or to pick another.",
      severity: "warning",
    };
  }
  if (status?.kind === "Error") return { text: "$(error) fim", tooltip: status.message, severity: "error" };
  if (!status?.busy) return undefined;
  const done = percent === undefined ? "" : ` ${percent}%`;
  return { text: `$(loading~spin) fim${done}`, tooltip: `${status.message}${done}` };
}

function disabled({ disabledReason, status }: Facts): Appearance | undefined {
  if (disabledReason) return { text: "$(circle-slash) fim", tooltip: `Completions are ${disabledReason}` };
  return status?.kind === "Inactive" ? { text: "$(circle-slash) fim", tooltip: status.message } : undefined;
}

function ready({ status, pending }: Facts): Appearance {
  if (status?.kind === "Warning") {
    return { text: "$(warning) fim", tooltip: status.message, severity: "warning" };
  }
  if (pending > 0) return { text: "$(loading~spin) fim", tooltip: "Completing" };
  return { text: "$(sparkle) fim", tooltip: status?.message ? `Ready: ${status.message}` : "Ready" };
}
