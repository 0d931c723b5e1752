// Characters that cannot be seen, made visible.

/** @type {Record<string, string>} */
const GLYPHS = { " ": "␣", "\n": "↵", "\t": "⇥", "\r": "␍", "\u00a0": "⍽" };

/** @type {Record<string, string>} */
const NAMES = { " ": "space", "\n": "newline", "\t": "tab", "\r": "carriage return" };

/**
 * @param {string} text a token, or any text
 * @returns {string} the text with a sign in place of each invisible character
 */
export function glyphs(text) {
  return text.replace(/[\s\p{C}]/gu, (character) => {
    return GLYPHS[character] ?? `U+${codePoint(character)}`;
  });
}

/**
 * @param {string} character
 * @returns {string} what a person would call it aloud: "space", "newline", or the character itself
 */
export function spoken(character) {
  return NAMES[character] ?? glyphs(character);
}

/** @param {string} character */
function codePoint(character) {
  return (character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0");
}
