// What a lesson's state asks a run with heads to read.

/**
 * @param {Record<string, any>} state
 * @returns {{ run: string, step: number | null, text: string }}
 * @throws {Error} where there is nothing to ask, with what to do
 */
export function readingOf({ run, step, text }) {
  if (text === "") throw new Error("Type a text for the heads to read.");
  return { run, step, text };
}
