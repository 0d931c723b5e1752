// The page of one lesson: its module draws the figures.
import { letScroll } from "./learn/scrolling.js";

/** @type {Record<string, () => Promise<{ start: () => void }>>} */
const LESSONS = {
  language_models: () => import("./learn/language_models.js"),
  data: () => import("./learn/data.js"),
  self_attention: () => import("./learn/self_attention.js"),
  cross_attention: () => import("./learn/cross_attention.js"),
  multi_head: () => import("./learn/multi_head.js"),
  transformer: () => import("./learn/transformer.js"),
  residual_norm_dropout: () => import("./learn/residual_norm_dropout.js"),
  tuning: () => import("./learn/tuning.js"),
  hypotheses: () => import("./learn/hypotheses.js"),
};

const article = /** @type {HTMLElement} */ (document.querySelector("[data-lesson]"));
const { start } = await LESSONS[article.dataset.lesson ?? ""]();
start();
letScroll(article);
