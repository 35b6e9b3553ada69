// A work-around for VS Code: it measures the text that an item replaces in code points, and so never shows an
// item whose range contains a character outside the Basic Multilingual Plane, such as an emoji (TextLength.ofText,
// seen in 1.100.3).

/**
 * Return how many UTF-16 units to cut from the start of an item and of its range, so that the range contains no
 * such character: 0 if there is none, or if the item changes the text before it.
 *
 * Example: `'🎉', a` with the item `'🎉', a]` gives 3; the range then begins behind the emoji.
 */
export function unitsToCut(replaced: string, insertText: string): number {
  const end = /.*[\ud800-\udfff]/s.exec(replaced)?.[0].length ?? 0;
  return insertText.startsWith(replaced.slice(0, end)) ? end : 0;
}
