// The item in the status bar. It holds the facts; how they look is decided in appearance.ts.
import { type Disposable, MarkdownString, StatusBarAlignment, ThemeColor, window } from "vscode";
import { type Facts, appearance, missingModelIn } from "./pure/statusAppearance";

export class StatusBar implements Disposable {
  private readonly item = window.createStatusBarItem("fimLsp.status", StatusBarAlignment.Right, 100);
  private known: Facts = { server: "searching", pending: 0 };

  constructor() {
    this.item.name = "fim-lsp";
    this.item.command = "fimLsp.menu";
    this.show();
    this.item.show();
  }

  get facts(): Facts {
    return this.known;
  }

  /** Take up what changed. What the server said is forgotten when it goes. */
  update(change: Partial<Facts>): void {
    const gone = change.server !== undefined && change.server !== "running";
    const reset = gone ? { status: undefined, percent: undefined, missingModel: undefined, pending: 0 } : {};
    this.known = { ...this.known, ...reset, ...change };
    if (change.status) {
      const missingModel = change.status.kind === "Error" ? missingModelIn(change.status.message) : undefined;
      this.known = {
        ...this.known,
        missingModel,
        percent: change.status.busy ? this.known.percent : undefined,
      };
    }
    this.show();
  }

  /** Count a request for as long as it waits. */
  async during<T>(work: PromiseLike<T>): Promise<T> {
    this.update({ pending: this.known.pending + 1 });
    try {
      return await work;
    } finally {
      this.update({ pending: Math.max(0, this.known.pending - 1) });
    }
  }

  dispose(): void {
    this.item.dispose();
  }

  private show(): void {
    const { text, tooltip, click, severity } = appearance(this.known);
    const about = ["fim-lsp:", tooltip, ...(click ? [click] : [])].join(" ");
    this.item.text = text;
    this.item.tooltip = new MarkdownString().appendText(about);
    this.item.accessibilityInformation = { label: about };
    this.item.backgroundColor = severity && new ThemeColor(`statusBarItem.${severity}Background`);
  }
}
