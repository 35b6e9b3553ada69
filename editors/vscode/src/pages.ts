// Read-only pages: the doctor's report, and the explanation of the last suggestion.
import { type Disposable, EventEmitter, ProgressLocation, Uri, languages, window, workspace } from "vscode";
import { type Explanation, explanationPage } from "./pure/explanationPage";
import type { Server } from "./server";
import { userModel } from "./settings";

const SCHEME = "fim-lsp";

export class Pages implements Disposable {
  private readonly texts = new Map<string, string>();
  private readonly changed = new EventEmitter<Uri>();
  private readonly registration = workspace.registerTextDocumentContentProvider(SCHEME, {
    onDidChange: this.changed.event,
    provideTextDocumentContent: (uri) => this.texts.get(uri.path) ?? "",
  });

  constructor(private readonly server: Server) {}

  /** Show why the last suggestion is what it is. */
  async explain(): Promise<void> {
    const explanation = await this.server.execute<Explanation>("fimLsp.explain");
    const text = explanation ? explanationPage(explanation) : "No server is running.";
    await this.show("Why this suggestion", text, "markdown");
  }

  /** Run the doctor and show its report. */
  async doctor(): Promise<void> {
    const name = userModel();
    const progress = { location: ProgressLocation.Notification, title: "fim-lsp: examining this machine" };
    const outcome = await window.withProgress(progress, () =>
      this.server.runCommand(["doctor", ...(name ? ["--model", name] : [])]),
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
