// Where in a text its tokens begin, for tokens that are no characters.

/**
 * @typedef {object} Start
 * @property {number} at how many characters lie before the token
 * @property {string} token as the API writes it
 */

const BYTES = "bytes:";

/**
 * @param {readonly string[]} characters a text
 * @returns {Start[]} where each is a token
 */
export function characterStarts(characters) {
  return characters.map((token, at) => ({ at, token }));
}

/**
 * @param {readonly string[]} characters a text
 * @param {readonly string[]} tokens its last ones, as the API writes them
 * @returns {Start[]} those that begin where a character does
 */
export function tokenStarts(characters, tokens) {
  const encoder = new TextEncoder();
  /** @type {Map<number, number>} from a place in the text's bytes to the characters before it */
  const whole = new Map([[0, 0]]);
  let length = 0;
  characters.forEach((character, i) => {
    length += encoder.encode(character).length;
    whole.set(length, i + 1);
  });
  let place = length - tokens.reduce((sum, token) => sum + byteCount(token, encoder), 0);
  /** @type {Start[]} */
  const starts = [];
  for (const token of tokens) {
    const at = whole.get(place);
    if (at !== undefined) starts.push({ at, token });
    place += byteCount(token, encoder);
  }
  return starts;
}

/**
 * @param {string} token one that cuts a character is written as `bytes:\xe2`
 * @param {TextEncoder} encoder
 */
export function byteCount(token, encoder) {
  if (!/^bytes:.*\\x[0-9a-f]{2}/s.test(token)) return encoder.encode(token).length;
  return token.slice(BYTES.length).replace(/\\x[0-9a-f]{2}/g, "-").length;
}
