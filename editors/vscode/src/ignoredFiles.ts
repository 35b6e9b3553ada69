// Files that get no suggestions: ignored by git, or listed in a `.fimignore`, which has the syntax of .gitignore.
import { homedir } from "node:os";
import path from "node:path";
import ignore from "ignore";
import { type Disposable, type TextDocument, Uri, workspace } from "vscode";
import { run } from "./processes";

/** Caches the answer for each file until an ignore file changes. */
export class IgnoredFiles implements Disposable {
  private readonly answers = new Map<string, Promise<boolean>>();
  private readonly watcher = workspace.createFileSystemWatcher("**/{.gitignore,.fimignore}");

  constructor() {
    const clear = () => {
      this.answers.clear();
    };
    this.watcher.onDidChange(clear);
    this.watcher.onDidCreate(clear);
    this.watcher.onDidDelete(clear);
  }

  /** Return whether a document is ignored. A notebook's cells are ignored with the notebook. */
  has(document: TextDocument): Promise<boolean> {
    if (!["file", "vscode-notebook-cell"].includes(document.uri.scheme)) return Promise.resolve(false);
    const file = document.uri.with({ scheme: "file", fragment: "" });
    const key = file.toString();
    const answer = this.answers.get(key) ?? isIgnored(file);
    this.answers.set(key, answer);
    return answer;
  }

  dispose(): void {
    this.watcher.dispose();
  }
}

async function isIgnored(uri: Uri): Promise<boolean> {
  return (await isInFimignore(uri)) || (await isIgnoredByGit(uri.fsPath));
}

async function isInFimignore(uri: Uri): Promise<boolean> {
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

/** Ask git; false outside a repository, and if git is not installed. */
async function isIgnoredByGit(file: string): Promise<boolean> {
  // A repository's own configuration may name programs; check-ignore would run its fsmonitor.
  if (!workspace.isTrusted) return false;
  const folder = ["-C", path.dirname(file), "--no-pager", "-c", "core.fsmonitor=false"];
  const args = [...folder, "check-ignore", "--quiet", "--", file];
  // Run outside the workspace: Windows would run a git.exe that lies in the current folder.
  return (await run({ command: "git", args }, { cwd: homedir() })).code === 0;
}
