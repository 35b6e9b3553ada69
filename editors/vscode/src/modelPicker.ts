// Picks a model, and fetches it if the user agrees.
import { type QuickPickItem, QuickPickItemKind, window } from "vscode";
import { lastLine } from "./processes";
import { withCancellableProgress } from "./progress";
import { type Model, describe, parseCatalog } from "./pure/modelCatalog";
import { describeProgress, parseFailure, parseProgress } from "./pure/modelDownload";
import type { Server } from "./server";
import { updateSetting, userModel } from "./settings";
import type { StatusBar } from "./statusBar";

interface Entry extends QuickPickItem {
  readonly model?: Model;
}

const FILE: Entry = { label: "$(folder-opened) A GGUF file…" };
const NAME: Entry = { label: "$(edit) Another name or path…" };

/** Let the user pick a model. One that is not on this machine is fetched first, if they agree. */
export async function pickModel(server: Server, status: StatusBar): Promise<void> {
  const options = {
    title: "Model for completions",
    placeHolder: "Name, size or licence",
    matchOnDescription: true,
  };
  const picked = await window.showQuickPick<Entry>(entries(server, status), options);
  if (!picked) return;
  const name = picked.model ? await hereOrFetched(server, picked.model) : await askForOther(picked);
  // Set where it is set already, so that a workspace's choice stays the workspace's.
  if (name) await updateSetting("model.name", name);
}

/** Offer to fetch a model that the server lacks. Nothing is fetched unless the user agrees here. */
export async function offerModel(server: Server, status: StatusBar, name: string): Promise<void> {
  const model = (await catalog(server)).find((entry) => entry.name === name);
  const description = model ? `${model.title} (${describe(model)})` : name;
  const question = `fim-lsp needs a model. Fetch ${description}? Once it is here, everything works offline.`;
  const answer = await window.showInformationMessage(question, "Fetch", "Pick Another");
  if (answer === "Fetch") await fetchModel(server, name);
  if (answer === "Pick Another") await pickModel(server, status);
}

async function catalog(server: Server): Promise<Model[]> {
  return parseCatalog((await server.runCommand(["model", "list", "--json"]))?.stdout ?? "");
}

async function entries(server: Server, status: StatusBar): Promise<Entry[]> {
  const models = await catalog(server);
  const inUse = modelInUse(status);
  const group = (label: string, here: boolean) => {
    const members = models.filter((model) => model.here === here);
    return members.length > 0 ? [separator(label), ...members.map((model) => asEntry(model, inUse))] : [];
  };
  return [
    ...group("on this machine", true),
    ...group("to be fetched", false),
    separator("others"),
    FILE,
    NAME,
  ];
}

/** Return the name of the model in use: as the server reports it, or the setting while no server runs. */
function modelInUse({ facts }: StatusBar): string | undefined {
  if (facts.status) return facts.status.kind === "Error" ? undefined : facts.status.model;
  return userModel();
}

function separator(label: string): Entry {
  return { label, kind: QuickPickItemKind.Separator };
}

function asEntry(model: Model, inUse: string | undefined): Entry {
  const isInUse = model.name === inUse;
  const icon = isInUse ? "check" : model.here ? "blank" : "cloud-download";
  const description = `${isInUse ? "in use, " : ""}${describe(model)}`;
  return { label: `$(${icon}) ${model.name}`, description, model };
}

async function hereOrFetched(server: Server, model: Model): Promise<string | undefined> {
  return model.here || (await confirmAndFetch(server, model)) ? model.name : undefined;
}

async function askForOther(picked: Entry): Promise<string | undefined> {
  return picked === FILE ? askForFile() : askForName();
}

async function askForFile(): Promise<string | undefined> {
  const files = await window.showOpenDialog({
    filters: { "GGUF models": ["gguf"] },
    title: "GGUF Model",
    openLabel: "Use This Model",
  });
  return files?.[0]?.fsPath;
}

async function askForName(): Promise<string | undefined> {
  return window.showInputBox({ prompt: "Name of a model in the catalog, or the path of a GGUF file" });
}

async function confirmAndFetch(server: Server, model: Model): Promise<boolean> {
  const question = `Fetch ${model.title}? ${describe(model)}.`;
  const answer = await window.showInformationMessage(question, { modal: true }, "Fetch");
  return answer === "Fetch" && (await fetchModel(server, model.name));
}

/**
 * Fetch a model, then let the server load it.
 *
 * @returns Whether the model is on this machine now.
 */
export async function fetchModel(server: Server, name: string): Promise<boolean> {
  const fetched = await withCancellableProgress(`Fetching the model ${name}`, async (report, signal) => {
    const onLine = (line: string) => {
      const progress = parseProgress(line);
      if (progress) report(describeProgress(progress));
    };
    const outcome = await server.runCommand(["model", "pull", name, "--json"], { signal, onLine });
    if (outcome?.code !== 0 && !signal.aborted) {
      const output = outcome?.output ?? "no server";
      const reason = parseFailure(outcome?.stdout ?? "") ?? lastLine(output);
      void window.showErrorMessage(`${name} could not be fetched: ${reason}`);
    }
    return outcome?.code === 0;
  });
  if (fetched) await server.execute("fimLsp.reload");
  return fetched;
}
