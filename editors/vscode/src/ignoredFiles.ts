// Files that the user keeps out: ignored by git, or listed in a `.fimignore` of the same syntax.
import { homedir } from "node:os";
import path from "node:path";
import ignore from "ignore";
import { type Disposable, type TextDocument, Uri, workspace } from "vscode";
import { run } from "./processes";

/** Remembers the answer for each file until an ignore file changes. */
export class IgnoredFiles implements Disposable {
  private readonly answers = new Map<string, Promise<boolean>>();
  private readonly watcher = workspace.createFileSystemWatcher("**/{.gitignore,.fimignore}");

  constructor() {
    const forget = () => {
      this.answers.clear();
    };
    this.watcher.onDidChange(forget);
    this.watcher.onDidCreate(forget);
    this.watcher.onDidDelete(forget);
  }

  has(document: TextDocument): Promise<boolean> {
    if (document.uri.scheme !== "file") return Promise.resolve(false);
    const key = document.uri.toString();
    const known = this.answers.get(key) ?? isIgnored(document.uri);
    this.answers.set(key, known);
    return known;
  }

  dispose(): void {
    this.watcher.dispose();
  }
}

async function isIgnored(uri: Uri): Promise<boolean> {
  return (await listedByUser(uri)) || (await ignoredByGit(uri.fsPath));
}

async function listedByUser(uri: Uri): Promise<boolean> {
  const folder = workspace.getWorkspaceFolder(uri);
  if (!folder) return false;
  try {
    const bytes = await workspace.fs.readFile(Uri.joinPath(folder.uri, ".fimignore"));
    const relative = path.relative(folder.uri.fsPath, uri.fsPath).split(path.sep).join("/");
    return ignore().add(Buffer.from(bytes).toString("utf8")).ignores(relative);
  } catch {
    return false; // there is no such file
  }
}

/** Outside a repository, and without git, nothing is ignored. */
async function ignoredByGit(file: string): Promise<boolean> {
  // Git runs programs that a repository's own configuration names; check-ignore may run its fsmonitor.
  if (!workspace.isTrusted) return false;
  const folder = ["-C", path.dirname(file), "--no-pager", "-c", "core.fsmonitor=false"];
  const args = [...folder, "check-ignore", "--quiet", "--", file];
  // Not run inside the workspace: Windows would take a git.exe that lies there.
  return (await run({ command: "git", args }, { cwd: homedir() })).code === 0;
}
