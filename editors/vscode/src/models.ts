// Picking a model, and fetching it when the user agrees.
import { ConfigurationTarget, ProgressLocation, type QuickPickItem, window, workspace } from "vscode";
import { type Model, describe, readCatalog } from "./catalog";
import { lastLine } from "./processes";
import type { Server } from "./server";

interface Entry extends QuickPickItem {
  readonly model?: Model;
}

const FILE: Entry = { label: "$(folder-opened) A GGUF file…" };
const NAME: Entry = { label: "$(edit) Another name or path…" };

/** Let the user pick a model; one that is not here yet is fetched first, if they agree. */
export async function pickModel(server: Server): Promise<void> {
  const listed = await server.verb(["model", "list", "--json"]);
  const known = readCatalog(listed?.stdout ?? "").map(entry);
  const options = { placeHolder: "Model for completions", matchOnDescription: true };
  const picked = await window.showQuickPick<Entry>([...known, FILE, NAME], options);
  if (!picked) return;
  const name = picked.model ? await hereOrFetched(server, picked.model) : await askFor(picked);
  if (name) await use(name);
}

function entry(model: Model): Entry {
  const current = workspace.getConfiguration("fimLsp").get("model.name") === model.name ? " (in use)" : "";
  const icon = model.here ? "$(check)" : "$(cloud-download)";
  return { label: `${icon} ${model.name}`, description: describe(model) + current, model };
}

async function hereOrFetched(server: Server, model: Model): Promise<string | undefined> {
  return model.here || (await confirmAndFetch(server, model)) ? model.name : undefined;
}

async function askFor(picked: Entry): Promise<string | undefined> {
  return picked === FILE ? askFile() : askName();
}

async function askFile(): Promise<string | undefined> {
  const files = await window.showOpenDialog({
    filters: { "GGUF models": ["gguf"] },
    openLabel: "Use This Model",
  });
  return files?.[0]?.fsPath;
}

async function askName(): Promise<string | undefined> {
  return window.showInputBox({ prompt: "Name of a model in the catalog, or the path of a GGUF file" });
}

async function confirmAndFetch(server: Server, model: Model): Promise<boolean> {
  const question = `Fetch ${model.title}? ${describe(model)}.`;
  const answer = await window.showInformationMessage(question, { modal: true }, "Fetch");
  return answer === "Fetch" && (await fetchModel(server, model.name));
}

/** Fetch a model and let the server load it; whether it is here now. */
export async function fetchModel(server: Server, name: string): Promise<boolean> {
  const progress = { location: ProgressLocation.Notification, title: `Fetching ${name}`, cancellable: true };
  const done = await window.withProgress(progress, async (report, token) => {
    const abort = new AbortController();
    token.onCancellationRequested(() => {
      abort.abort();
    });
    const onLine = (message: string) => {
      report.report({ message });
    };
    const outcome = await server.verb(["model", "pull", name], { signal: abort.signal, onLine });
    if (outcome?.code !== 0 && !token.isCancellationRequested) {
      void window.showErrorMessage(
        `${name} could not be fetched: ${lastLine(outcome?.output ?? "no server")}`,
      );
    }
    return outcome?.code === 0;
  });
  if (done) await server.execute("fimLsp.reload");
  return done;
}

/** Set the model where it is set already: a workspace's choice stays the workspace's. */
async function use(name: string): Promise<void> {
  const section = workspace.getConfiguration("fimLsp");
  const inWorkspace = section.inspect("model.name")?.workspaceValue !== undefined;
  await section.update(
    "model.name",
    name,
    inWorkspace ? ConfigurationTarget.Workspace : ConfigurationTarget.Global,
  );
}
