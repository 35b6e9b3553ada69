// A notification with progress that the user can cancel.
import { ProgressLocation, window } from "vscode";

/** A step's message, and how many percent it adds. */
export type Report = (message: string, increment?: number) => void;

/** Show a notification while `work` runs. Its signal aborts when the user cancels. */
export function withCancellableProgress<T>(
  title: string,
  work: (report: Report, signal: AbortSignal) => Promise<T>,
): Thenable<T> {
  const options = { location: ProgressLocation.Notification, title, cancellable: true };
  return window.withProgress(options, (progress, token) => {
    const controller = new AbortController();
    token.onCancellationRequested(() => {
      controller.abort();
    });
    const report: Report = (message, increment) => {
      progress.report({ message, ...(increment === undefined ? {} : { increment }) });
    };
    return work(report, controller.signal);
  });
}
