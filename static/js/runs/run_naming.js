// What a model is called that is brought in: as the server would call it, from its files' names.

const ENDINGS = /\.(zip|pth?|safetensors)$/i;
const SAYS_NOTHING = new Set(["ckpt", "checkpoint", "model", "weights", "pytorch_model", "upload"]);
const HUGGING_FACE = /^models--(?:.*--)?/;
const LONGEST_ID = 64;
const RUN_ID = /^[a-z0-9][a-z0-9._-]{0,63}$/;

/**
 * @param {string} name such as "out-shakespeare-char/ckpt.pt"
 * @returns {string} the file's without its ending, or its folder's where that says nothing
 */
export function titleFrom(name) {
  const words = name
    .split(/[/\\]/)
    .map((part) => part.trim())
    .filter((part) => !["", ".", ".."].includes(part))
    .map((part) => part.replace(ENDINGS, ""));
  const telling = words.filter((word) => !SAYS_NOTHING.has(word.toLowerCase()));
  const word = telling.at(-1) ?? words.at(-1) ?? "model";
  return word.replace(HUGGING_FACE, "").trim() || "model";
}

/**
 * @param {string} name
 * @returns {string} the same as an id
 */
export function idFrom(name) {
  const plain = titleFrom(name)
    .normalize("NFKD")
    .replace(/\P{ASCII}/gu, "");
  const words = plain.toLowerCase().replace(/[^a-z0-9._-]+/g, "-");
  const id = words.replace(/^[._-]+/, "").slice(0, LONGEST_ID);
  return id.replace(/[._-]+$/, "") || "model";
}

/**
 * @param {string} id as a person types it
 * @param {ReadonlySet<string>} taken
 * @returns {string} what is wrong with it; empty where nothing is
 */
export function idProblem(id, taken) {
  if (!RUN_ID.test(id)) {
    return (
      "An id has small letters, digits, dots, dashes and underscores, at most 64, " +
      "and begins with a letter or a digit"
    );
  }
  return taken.has(id) ? `There is a run ${id} already: choose another id` : "";
}

/**
 * @param {File} config a folder's config.json
 * @returns {Promise<string>} the id of the run whose it is; empty if it is no run's
 */
export async function ownId(config) {
  try {
    const { model_type, model, id } = JSON.parse(await config.text());
    return model && model_type === undefined && RUN_ID.test(id) ? id : "";
  } catch {
    return ""; // the server says what is wrong with it
  }
}
