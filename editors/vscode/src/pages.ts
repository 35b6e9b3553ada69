// Read-only pages that the extension shows: the doctor's report, why this suggestion.
import { type Disposable, EventEmitter, ProgressLocation, Uri, languages, window, workspace } from "vscode";
import { type Explanation, explanationPage } from "./pure/explanationPage";
import type { Server } from "./server";

const SCHEME = "fim-lsp";

export class Pages implements Disposable {
  private readonly texts = new Map<string, string>();
  private readonly changed = new EventEmitter<Uri>();
  private readonly registration = workspace.registerTextDocumentContentProvider(SCHEME, {
    onDidChange: this.changed.event,
    provideTextDocumentContent: (uri) => this.texts.get(uri.path) ?? "",
  });

  constructor(private readonly server: Server) {}

  async explain(): Promise<void> {
    const last = await this.server.execute<Explanation>("fimLsp.explain");
    await this.show(
      "Why this suggestion",
      last ? explanationPage(last) : "No server is running.",
      "markdown",
    );
  }

  async doctor(): Promise<void> {
    const model = workspace.getConfiguration("fimLsp").inspect<string>("model.name");
    const name = model?.workspaceValue ?? model?.globalValue;
    const progress = { location: ProgressLocation.Notification, title: "fim-lsp: examining this machine" };
    const outcome = await window.withProgress(progress, () =>
      this.server.verb(["doctor", ...(name ? ["--model", name] : [])]),
    );
    await this.show("Doctor", outcome?.output ?? "fim-lsp is not installed.", "plaintext");
  }

  dispose(): void {
    this.registration.dispose();
    this.changed.dispose();
  }

  private async show(title: string, text: string, language: string): Promise<void> {
    const uri = Uri.from({ scheme: SCHEME, path: title });
    this.texts.set(uri.path, text);
    this.changed.fire(uri);
    const document = await languages.setTextDocumentLanguage(await workspace.openTextDocument(uri), language);
    await window.showTextDocument(document, { preview: true });
  }
}
