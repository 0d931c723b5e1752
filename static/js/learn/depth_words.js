// What the measurements along the depth say, in sentences made from the numbers.
import { percent } from "../format.js";
import { threeDigits } from "./axes.js";

/** @typedef {import("./depth_api.js").Variant} Variant */
/** @typedef {import("./depth_api.js").Place} Place */

const LAYER_PARTS = /** @type {Record<string, string>} */ ({
  norm_1: "norm before attention",
  norm_2: "norm before the MLP",
  sum_1: "attention",
  sum_2: "MLP",
});
const SHORT = /** @type {Record<string, string>} */ ({
  norm_1: "att",
  norm_2: "mlp",
  sum_1: "att",
  sum_2: "mlp",
});

/**
 * @param {{ step: string, layer: number | null }} place
 * @returns {{ name: string, short: string }}
 */
export function placeName({ step, layer }) {
  if (step === "embedding") return { name: "embeddings", short: "emb" };
  if (layer === null) return { name: "last norm", short: "last" };
  return { name: `layer ${layer}, ${LAYER_PARTS[step]}`, short: `${layer} ${SHORT[step]}` };
}

/**
 * @param {Variant} variant
 * @returns {Place[]} the stream: behind the embeddings, then behind each sublayer
 */
export function streamOf({ places }) {
  return places.filter(({ step }) => ["embedding", "sum_1", "sum_2"].includes(step));
}

/**
 * @param {{ residual: boolean, norm: boolean }} variant
 * @returns {string}
 */
export function variantName({ residual, norm }) {
  if (residual && norm) return "as the run is";
  if (residual) return "without normalisation";
  return norm ? "without residual connections" : "without both";
}

/** @param {Variant} usual @param {Variant} chosen */
export function lengthWords(usual, chosen) {
  return [usual, ...(chosen === usual ? [] : [chosen])]
    .map((variant) => {
      const [first, last] = ends(variant, "length");
      const name = sentenceStart(variantName(variant));
      if (first === null || last === null) {
        return `${name}, the vectors become larger than a 32-bit number can say.`;
      }
      const times =
        last > first ? `${threeDigits(last / first)} times as long` : shrunk(first, last);
      return `${name}, a token's vector is ${threeDigits(first)} long at the embeddings and ${threeDigits(last)} behind the last layer, ${times}.`;
    })
    .join(" ");
}

/** @param {Variant} usual @param {Variant} chosen */
export function gradientWords(usual, chosen) {
  return [usual, ...(chosen === usual ? [] : [chosen])]
    .map((variant) => {
      const [first, last] = ends(variant, "gradient");
      const name = sentenceStart(variantName(variant));
      if (first === null || last === null) {
        return `${name}, there is no gradient: the loss is not a finite number.`;
      }
      const [a, b] = [threeDigits(last), threeDigits(first)];
      if (first === 0 || last === 0) {
        return `${name}, the gradient is ${a} behind the last layer and ${b} at the embeddings.`;
      }
      const factor = first / last;
      const times =
        factor >= 1
          ? `${threeDigits(factor)} times as large`
          : `${threeDigits(1 / factor)} times smaller`;
      return `${name}, the gradient is ${a} behind the last layer and ${b} at the embeddings: ${times} once it has gone all the way down.`;
    })
    .join(" ");
}

/** @param {Variant} usual @param {Variant} chosen */
export function similarityWords(usual, chosen) {
  const [now, then] = [usual, chosen].map((variant) => ends(variant, "similarity")[1]);
  if (now === null) return "";
  const words = `Behind the last layer, the vectors of two tokens have a cosine of ${now.toFixed(2)} on average`;
  if (chosen === usual) return `${words}.`;
  if (then === null) return `${words}; ${variantName(chosen)} there is none to speak of.`;
  return `${words}, ${variantName(chosen)} ${then.toFixed(2)}; 1 would mean that all tokens have become one.`;
}

/**
 * @param {Variant} chosen
 * @param {Variant} usual
 * @param {number} choices different tokens
 */
export function lossWords(usual, chosen, choices) {
  const even = Math.log(choices);
  const guess = `Guessing evenly among the ${choices.toLocaleString("en-US")} tokens would cost ${even.toFixed(2)} nats.`;
  if (usual.loss === null) return guess;
  const start = `On this text the run loses ${usual.loss.toFixed(2)} nats per token as it is`;
  if (chosen === usual) return `${start}. ${guess}`;
  if (chosen.loss === null) {
    return `${start}; ${variantName(chosen)} its numbers leave what 32 bits can hold, and it predicts nothing. ${guess}`;
  }
  const worse = chosen.loss > even ? ", which is worse than no knowledge at all" : "";
  return `${start}, and ${chosen.loss.toFixed(2)} ${variantName(chosen)}${worse}. ${guess}`;
}

/** @param {import("./depth_api.js").Depth} depth */
export function normWords({ norm, norms }) {
  const [least, most] = range(norms.map(({ variance_in }) => variance_in));
  const found = `What the ${norms.length} normalisations of this run find has variances from ${threeDigits(least)} to ${threeDigits(most)}`;
  if (norm === "rmsnorm") {
    const [low, high] = range(norms.map(({ square_normalised }) => square_normalised));
    return `${found}. They are RMSNorms: they leave a mean square of ${between(low, high)}, and a mean that need not be 0.`;
  }
  const [low, high] = range(norms.map(({ variance_normalised }) => variance_normalised));
  const mean = Math.max(...norms.map(({ mean_normalised }) => mean_normalised));
  return `${found}. They are LayerNorms: before gain and bias they leave a variance of ${between(low, high)} and means of at most ${threeDigits(mean)}, which is 0 but for rounding.`;
}

/** @param {import("./depth_api.js").Dropout} dropout */
export function dropoutWords({
  dropout,
  losses,
  loss,
  mean,
  deviation,
  loss_of_mean,
  trained_with,
}) {
  const trained = trained_with
    ? `This run was trained with a dropout of ${percent(trained_with)}, so that it has learned to do without parts of itself.`
    : "This run was trained without dropout, so that doing without parts of itself is nothing it ever practised.";
  if (dropout === 0) {
    return `With nothing left out, all ${losses.length} passes are the same pass: ${loss.toFixed(3)} nats per token. ${trained}`;
  }
  return `Without dropout the loss is ${loss.toFixed(3)} nats per token. Over ${losses.length} passes that each leave out ${percent(dropout)} it is ${mean.toFixed(3)} on average, with a standard deviation of ${deviation.toFixed(3)}. If all ${losses.length} networks predict together, by the mean of their probabilities, it is ${loss_of_mean.toFixed(3)}. ${trained}`;
}

/**
 * @param {Variant} variant
 * @param {"length" | "gradient" | "similarity"} number
 * @returns {[first: number | null, last: number | null]} at the embeddings, behind the last layer
 */
function ends(variant, number) {
  const stream = streamOf(variant);
  return [stream[0][number], stream[stream.length - 1][number]];
}

/** @param {number} first @param {number} last */
function shrunk(first, last) {
  return last === 0 ? "nothing at all" : `${threeDigits(first / last)} times shorter`;
}

/** @param {number[]} values @returns {[least: number, most: number]} */
function range(values) {
  return [Math.min(...values), Math.max(...values)];
}

/** @param {number} low @param {number} high @returns {string} "1.0000", "0.9981 to 1.0000" */
function between(low, high) {
  const [first, last] = [low.toFixed(4), high.toFixed(4)];
  return first === last ? first : `${first} to ${last}`;
}

/** @param {string} words */
function sentenceStart(words) {
  return words[0].toUpperCase() + words.slice(1);
}
