// A quirk of VS Code: it measures the text that an item replaces in code points, and so never shows an item
// whose range holds a character beyond the first plane, an emoji for example (TextLength.ofText, seen in 1.100.3).

/**
 * How much to leave out at the beginning of an item and of its range, in UTF-16 units, so that no such
 * character is in it: 0 where there is none, or where the item changes what it replaces.
 */
export function leftOut(replaced: string, insertText: string): number {
  const end = /.*[\ud800-\udfff]/s.exec(replaced)?.[0].length ?? 0;
  return insertText.startsWith(replaced.slice(0, end)) ? end : 0;
}
