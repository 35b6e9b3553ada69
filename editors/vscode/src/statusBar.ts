// The status bar item. It keeps the facts; pure/statusAppearance.ts computes the look.
import { type Disposable, MarkdownString, StatusBarAlignment, ThemeColor, window } from "vscode";
import { type Facts, appearance } from "./pure/statusAppearance";

export class StatusBar implements Disposable {
  private readonly item = window.createStatusBarItem("fimLsp.status", StatusBarAlignment.Right, 100);
  private current: Facts = { server: "searching", pending: 0 };

  constructor() {
    this.item.name = "fim-lsp";
    this.item.command = "fimLsp.menu";
    this.show();
    this.item.show();
  }

  get facts(): Facts {
    return this.current;
  }

  /** Change some facts. Facts about a running server are cleared when it stops. */
  update(change: Partial<Facts>): void {
    const stopped = change.server !== undefined && change.server !== "running";
    const cleared = stopped ? { status: undefined, percent: undefined, pending: 0 } : {};
    this.current = { ...this.current, ...cleared, ...change };
    if (change.status && !change.status.busy) this.current = { ...this.current, percent: undefined };
    this.show();
  }

  /** Count a request as pending until it is answered. */
  async whilePending<T>(request: PromiseLike<T>): Promise<T> {
    this.update({ pending: this.current.pending + 1 });
    try {
      return await request;
    } finally {
      this.update({ pending: Math.max(0, this.current.pending - 1) });
    }
  }

  dispose(): void {
    this.item.dispose();
  }

  private show(): void {
    const { text, tooltip, click, severity } = appearance(this.current);
    const label = ["fim-lsp:", tooltip, ...(click ? [click] : [])].join(" ");
    this.item.text = text;
    this.item.tooltip = new MarkdownString().appendText(label);
    this.item.accessibilityInformation = { label };
    this.item.backgroundColor = severity && new ThemeColor(`statusBarItem.${severity}Background`);
  }
}
