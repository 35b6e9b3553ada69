// When the server is told where the cursor is: once it rests at a place to which no key was typed.

/** Milliseconds for which the cursor must rest before the server is told. */
export const REST_MS = 150;

/** What is known of the document with the cursor. */
export interface CursorPlace {
  readonly uri: string;
  readonly version: number;
}

/**
 * Return whether the cursor got to a place without typing. A key that changes the document also moves the cursor,
 * and its own request does what a notice would do.
 *
 * @param before The place of the last movement; undefined at the first one.
 */
export function movedWithoutTyping(before: CursorPlace | undefined, now: CursorPlace): boolean {
  return before?.uri !== now.uri || before.version === now.version;
}
