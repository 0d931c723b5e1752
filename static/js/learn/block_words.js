// What the parts of a model are called, and how their shapes read.

/** @typedef {import("./block_api.js").Part} Part */

/** @type {Record<string, string>} */
const NAMES = {
  token_embedding: "Token embedding",
  position_embedding: "Position embedding",
  embedded: "Stream: tokens plus positions",
  norm_1: "Norm",
  qkv: "Queries, keys and values",
  conv: "Convolution",
  q: "Queries",
  k: "Keys",
  v: "Values",
  scores: "Scores",
  weights: "Weights",
  mixed: "Mixed values",
  attention: "Output projection",
  after_attention: "Stream after attention",
  norm_2: "Norm",
  hidden: "Expand",
  mlp: "Contract",
  after_mlp: "Stream after the MLP",
  norm: "Last norm",
  table: "The table",
  logits: "Logits",
  probabilities: "Probabilities",
};

/** @type {Record<string, string>} */
const ACTIVATIONS = {
  relu: "ReLU",
  gelu: "GELU",
  gelu_erf: "GELU",
  relu2: "ReLU²",
  swiglu: "SwiGLU",
};

/** @param {Part} part @returns {string} what it is called */
export function partName({ name, operations, layer }) {
  if (name === "activated") return ACTIVATIONS[operations[0]] ?? operations[0];
  if (name === "counts")
    return layer === 1 ? "Counts of single tokens" : `Counts of ${layer} tokens in a row`;
  return NAMES[name] ?? name;
}

/** @param {Part} part @returns {string} its name, and where it is */
export function fullName(part) {
  const inBlock = part.layer !== null && part.name !== "counts";
  return inBlock ? `${partName(part)}, layer ${part.layer}` : partName(part);
}

/** @param {readonly (string | number)[]} shape @returns {string} "(B, T, C)" */
export function shapeWords(shape) {
  return shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(", ")})`;
}

/** @param {number} value @returns {string} with about four digits that count */
export function valueWords(value) {
  const size = Math.abs(value);
  if (size > 0 && (size < 0.001 || size >= 100_000)) return minus(value.toExponential(2));
  return minus(size >= 1000 ? value.toFixed(1) : Number(value.toPrecision(4)).toString());
}

/** @param {string} written */
function minus(written) {
  return written.replaceAll("-", "−");
}
