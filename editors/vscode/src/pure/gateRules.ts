// When the server may be asked for a suggestion. What is refused here never leaves the editor.

export interface Switches {
  /** False while the user turned completions off until the window closes. */
  readonly session: boolean;
  /** fimLsp.completion.enabled. */
  readonly enabled: boolean;
  /** fimLsp.completion.disabledLanguages. */
  readonly disabledLanguages: readonly string[];
}

/** Return why a document gets no suggestions (`off for python`), or undefined if it gets them. */
export function disabledReason(switches: Switches, language: string, ignored: boolean): string | undefined {
  if (!switches.session) return "off until this window closes";
  if (!switches.enabled) return "off in the settings";
  if (switches.disabledLanguages.includes(language)) return `off for ${language}`;
  if (ignored) return "off in this file: it is ignored";
  return undefined;
}

/** Add a language to the disabled ones, or remove it; the result is sorted. */
export function setDisabled(languages: readonly string[], language: string, disabled: boolean): string[] {
  const others = languages.filter((other) => other !== language);
  return (disabled ? [...others, language] : others).sort();
}

/** A cursor's line, split at the cursor. */
export interface CursorLine {
  readonly before: string;
  readonly after: string;
}

/**
 * Return whether one suggestion fits all cursors: their lines must be the same. VS Code inserts the suggestion
 * for the first cursor at every cursor, so a different line would get text that was not made for it.
 */
export function haveSameLine(cursors: readonly CursorLine[]): boolean {
  const [first, ...others] = cursors;
  return others.every((other) => other.before === first?.before && other.after === first.after);
}
