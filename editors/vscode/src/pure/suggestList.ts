// VS Code's own list of completions beside ghost text.

/** The value of `editor.quickSuggestions` for one place: code, comments or strings. */
type When = boolean | string;

/**
 * Return a value of `editor.quickSuggestions` that shows the list beside ghost text, or undefined if the given
 * value does so or the user turned the list off.
 *
 * Since 1.119 the default for code is `offWhenInlineCompletions`: the list waits for ghost text, and is not shown
 * where there is any. Older versions do not know this value.
 */
export function withList(value: unknown): Record<string, When> | undefined {
  if (value === "offWhenInlineCompletions") return { other: "on", comments: "on", strings: "on" };
  if (typeof value !== "object" || value === null) return undefined;
  const entries = Object.entries(value as Record<string, When>);
  if (!entries.some(([, when]) => when === "offWhenInlineCompletions")) return undefined;
  return Object.fromEntries(
    entries.map(([place, when]) => [place, when === "offWhenInlineCompletions" ? "on" : when]),
  );
}
