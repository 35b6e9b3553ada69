// Whether the server is asked at all. What is refused here never leaves the editor.

export interface Permissions {
  /** False while the user turned completions off until the window closes. */
  readonly session: boolean;
  /** fimLsp.completion.enabled. */
  readonly enabled: boolean;
  /** fimLsp.completion.disabledLanguages. */
  readonly disabledLanguages: readonly string[];
}

/** Why nothing is offered in a document, or undefined where it is. */
export function whyOff(permissions: Permissions, language: string, ignored: boolean): string | undefined {
  if (!permissions.session) return "off until this window closes";
  if (!permissions.enabled) return "off in the settings";
  if (permissions.disabledLanguages.includes(language)) return `off for ${language}`;
  if (ignored) return "off in this file: it is ignored";
  return undefined;
}

/** Add or take away a language, sorted. */
export function withLanguage(languages: readonly string[], language: string, off: boolean): string[] {
  const others = languages.filter((one) => one !== language);
  return (off ? [...others, language] : others).sort();
}

/** A cursor's line, parted at the cursor. */
export interface Place {
  readonly before: string;
  readonly after: string;
}

/**
 * Whether one suggestion is right for every cursor. VS Code inserts what it shows at the first cursor at
 * all of them, so anything else would write text where it was never meant for.
 */
export function agree(places: readonly Place[]): boolean {
  const [first, ...others] = places;
  return others.every((other) => other.before === first?.before && other.after === first.after);
}
