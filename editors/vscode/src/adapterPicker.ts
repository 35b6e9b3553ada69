// The picker for LoRA adapters. The server applies a change without a restart.
import path from "node:path";
import { type QuickPickItem, window, workspace } from "vscode";
import { type Adapter, addAdapter, isOn, turnOnOnly } from "./pure/adapterList";
import { updateSetting } from "./settings";

interface Entry extends QuickPickItem {
  readonly adapter?: Adapter;
}

const ADD: Entry = { label: "$(add) Add a LoRA file…" };

/** Let the user turn adapters on and off, or add one. */
export async function pickAdapters(): Promise<void> {
  const adapters = workspace.getConfiguration("fimLsp").get<Adapter[]>("adapters", []);
  if (adapters.length === 0) return pickFile(adapters);
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
  const pickedPaths = picked.flatMap(({ adapter }) => (adapter ? [adapter.path] : []));
  const changed = turnOnOnly(adapters, pickedPaths);
  await (picked.includes(ADD) ? pickFile(changed) : save(changed));
}

async function pickFile(adapters: readonly Adapter[]): Promise<void> {
  const files = await window.showOpenDialog({
    filters: { "LoRA adapters": ["gguf"] },
    title: "LoRA Adapter",
    openLabel: "Use This Adapter",
  });
  const file = files?.[0]?.fsPath;
  await save(file ? addAdapter(adapters, file) : adapters);
}

/** Save to the workspace if there is one, because an adapter is trained on a project. */
async function save(adapters: readonly Adapter[]): Promise<void> {
  const values = workspace.getConfiguration("fimLsp").inspect("adapters");
  const onlyUserValue = values?.globalValue !== undefined && values.workspaceValue === undefined;
  await updateSetting("adapters", adapters, { workspace: !onlyUserValue });
}
