// Picking a model, and fetching it when the user agrees.
import {
  ConfigurationTarget,
  ProgressLocation,
  type QuickPickItem,
  QuickPickItemKind,
  window,
  workspace,
} from "vscode";
import { type Model, describe, isInUse, readCatalog } from "./pure/modelCatalog";
import { wasSet } from "./pure/settingValues";
import { lastLine } from "./processes";
import type { Server } from "./server";
import type { StatusBar } from "./statusBar";

interface Entry extends QuickPickItem {
  readonly model?: Model;
}

const FILE: Entry = { label: "$(folder-opened) A GGUF file…" };
const NAME: Entry = { label: "$(edit) Another name or path…" };

/** Let the user pick a model; one that is not here yet is fetched first, if they agree. */
export async function pickModel(server: Server, status: StatusBar): Promise<void> {
  const options = {
    title: "Model for completions",
    placeHolder: "Name, size or licence",
    matchOnDescription: true,
  };
  const picked = await window.showQuickPick<Entry>(entries(server, status), options);
  if (!picked) return;
  const name = picked.model ? await hereOrFetched(server, picked.model) : await askFor(picked);
  if (name) await use(name);
}

/** Offer to fetch the model that the server misses. Nothing is fetched unless the user says so here. */
export async function offerModel(server: Server, status: StatusBar, name: string): Promise<void> {
  const model = (await listed(server)).find((one) => one.name === name);
  const wanted = model ? `${model.title} (${describe(model)})` : name;
  const question = `fim-lsp needs a model. Fetch ${wanted}? Once it is here, everything works offline.`;
  const answer = await window.showInformationMessage(question, "Fetch", "Pick Another");
  if (answer === "Fetch") await fetchModel(server, name);
  if (answer === "Pick Another") await pickModel(server, status);
}

async function listed(server: Server): Promise<Model[]> {
  return readCatalog((await server.verb(["model", "list", "--json"]))?.stdout ?? "");
}

async function entries(server: Server, status: StatusBar): Promise<Entry[]> {
  const models = await listed(server);
  const section = workspace.getConfiguration("fimLsp");
  const chosen = wasSet(section.inspect("model.name")) ? section.get<string>("model.name") : undefined;
  const loaded = status.facts.status?.message ?? "";
  const entry = (model: Model) => asEntry(model, isInUse(model, chosen, loaded));
  return [
    ...group(
      "on this machine",
      models.filter(({ here }) => here),
      entry,
    ),
    ...group(
      "to be fetched",
      models.filter(({ here }) => !here),
      entry,
    ),
    { label: "others", kind: QuickPickItemKind.Separator },
    FILE,
    NAME,
  ];
}

function group(label: string, models: readonly Model[], entry: (model: Model) => Entry): Entry[] {
  return models.length > 0 ? [{ label, kind: QuickPickItemKind.Separator }, ...models.map(entry)] : [];
}

function asEntry(model: Model, inUse: boolean): Entry {
  const icon = inUse ? "check" : model.here ? "blank" : "cloud-download";
  const description = `${inUse ? "in use, " : ""}${describe(model)}`;
  return { label: `$(${icon}) ${model.name}`, description, model };
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
    title: "GGUF Model",
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
  const progress = {
    location: ProgressLocation.Notification,
    title: `Fetching the model ${name}`,
    cancellable: true,
  };
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
