// Picking LoRA adapters; the server swaps them without a restart.
import path from "node:path";
import { ConfigurationTarget, type QuickPickItem, window, workspace } from "vscode";
import { type Adapter, added, isOn, switched } from "./pure/adapterList";

interface Entry extends QuickPickItem {
  readonly adapter?: Adapter;
}

const ADD: Entry = { label: "$(add) Add a LoRA file…" };

/** Let the user switch adapters on and off, or add one. */
export async function pickAdapters(): Promise<void> {
  const adapters = workspace.getConfiguration("fimLsp").get<Adapter[]>("adapters", []);
  if (adapters.length === 0) return add(adapters);
  const entries = adapters.map((adapter): Entry => ({
    label: path.basename(adapter.path),
    description: adapter.scale === undefined || !isOn(adapter) ? "" : `scale ${adapter.scale}`,
    detail: adapter.path,
    picked: isOn(adapter),
    adapter,
  }));
  const options = { canPickMany: true as const, title: "Adapters to apply", placeHolder: "Name" };
  const picked = await window.showQuickPick<Entry>([...entries, ADD], options);
  if (!picked) return;
  const on = picked.flatMap(({ adapter }) => (adapter ? [adapter.path] : []));
  const chosen = switched(adapters, on);
  await (picked.includes(ADD) ? add(chosen) : save(chosen));
}

async function add(adapters: readonly Adapter[]): Promise<void> {
  const files = await window.showOpenDialog({
    filters: { "LoRA adapters": ["gguf"] },
    title: "LoRA Adapter",
    openLabel: "Use This Adapter",
  });
  const file = files?.[0]?.fsPath;
  await save(file ? added(adapters, file) : adapters);
}

/** Adapters are trained on a project, so they belong to its workspace, where there is one. */
async function save(adapters: readonly Adapter[]): Promise<void> {
  const section = workspace.getConfiguration("fimLsp");
  const set = section.inspect("adapters");
  const forUser =
    !workspace.workspaceFolders || (set?.globalValue !== undefined && set.workspaceValue === undefined);
  await section.update(
    "adapters",
    adapters,
    forUser ? ConfigurationTarget.Global : ConfigurationTarget.Workspace,
  );
}
