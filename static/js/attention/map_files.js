// The chosen map as a table of numbers, and what its files are called.
import { glyphs } from "../glyphs.js";

/**
 * @param {string} title such as "baseline, final, layer 1, head 0"
 * @param {string} kind of file
 */
export function fileName(title, kind) {
  const words = title.replace(/[^\p{L}\p{N}.]+/gu, "-").replace(/^-|-$/g, "");
  return `${words}.${kind}`;
}

/**
 * One line for each query and each key that it can see.
 * @param {readonly string[]} tokens T of them
 * @param {Float32Array} weights T x T, query by query
 */
export function csv(tokens, weights) {
  const T = tokens.length;
  const quoted = tokens.map((token) => `"${token.replaceAll('"', '""')}"`);
  const lines = ["query,query_token,key,key_token,weight"];
  for (let query = 0; query < T; query++) {
    for (let key = 0; key <= query; key++) {
      const weight = weights[query * T + key];
      lines.push([query, quoted[query], key, quoted[key], weight].join(","));
    }
  }
  return `${lines.join("\n")}\n`;
}

/**
 * Tokens as labels that fit beside a picture: not each of them, where they would overlap.
 * @param {readonly string[]} tokens
 * @param {number} room pixels for all
 * @param {number} least pixels from one to the next
 * @returns {{ place: number, text: string }[]}
 */
export function labels(tokens, room, least) {
  const every = Math.max(1, Math.ceil((tokens.length * least) / room));
  return tokens
    .map((token, place) => ({ place, text: glyphs(token) }))
    .filter(({ place }) => place % every === 0);
}
