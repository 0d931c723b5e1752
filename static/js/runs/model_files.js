// Which files make up a model, known by their names alone.

/**
 * @typedef {{ name: string, file: File }} NamedFile name: as it is called inside its folder
 *
 * @typedef {object} ModelFiles
 * @property {NamedFile[]} sent those that the server needs
 * @property {NamedFile[]} leftOut the others
 * @property {string} name of the whole, as its owner calls it
 * @property {string} problem why no model is in it; empty where one is
 */

const CONFIG = "config.json";
const WEIGHTS = "model.safetensors";
const CHECKPOINT = "ckpt.pt";
const SNAPSHOTS = "snapshots/";

/** @type {Record<string, string>} */
const VOCABULARIES = {
  "vocabulary.json": "vocabulary",
  "meta.pkl": "nanoGPT's vocabulary",
  "tokenizer.json": "tokens",
};

/** @type {Record<string, string>} */
const KNOWN = {
  [CONFIG]: "configuration",
  [WEIGHTS]: "weights",
  "metrics.jsonl": "losses while training",
  "samples.jsonl": "samples",
  ...VOCABULARIES,
};

const SAVE_ONE = "Save it with transformers' model.save_pretrained(folder)";

/**
 * @param {string} name
 * @returns {string} what a file is by its name; empty for what no model needs
 */
export function recognised(name) {
  if (isZip(name)) return "a zip of a model";
  if (name === CHECKPOINT) return "nanoGPT's checkpoint";
  if (isCheckpoint(name)) return "weights as PyTorch saves them";
  if (isSnapshot(name)) return "weights on the way";
  return KNOWN[name] ?? "";
}

/**
 * @param {readonly NamedFile[]} files at least one
 * @param {string} folder what they were in; empty where that is not known
 * @returns {ModelFiles}
 */
export function modelFiles(files, folder) {
  const zip = files.find(({ name }) => isZip(name));
  if (zip) return ofZip(zip, files);
  const names = files.map(({ name }) => name);
  if (names.includes(CONFIG)) {
    const name = folder || "model";
    return parted(files, (one) => one in KNOWN || isSnapshot(one), name, configProblem(names));
  }
  const checkpoints = names.filter(isCheckpoint);
  const checkpoint = names.includes(CHECKPOINT) ? CHECKPOINT : (checkpoints[0] ?? "");
  const needed = (/** @type {string} */ one) =>
    one === checkpoint || (checkpoint !== "" && one in VOCABULARIES);
  const name = [folder, checkpoint].filter((word) => word !== "").join("/");
  return parted(files, needed, name, checkpointProblem(names, checkpoint, checkpoints));
}

/**
 * @param {readonly NamedFile[]} before
 * @param {readonly NamedFile[]} added
 * @param {boolean} isWhole whether they are a folder, and so all of the model
 * @returns {NamedFile[]} what is chosen then: a zip stands alone, another file joins those there are
 */
export function withAdded(before, added, isWhole) {
  if (isWhole || [...before, ...added].some(({ name }) => isZip(name))) return [...added];
  const names = new Set(added.map(({ name }) => name));
  return [...before.filter(({ name }) => !names.has(name)), ...added];
}

/**
 * @param {NamedFile} zip
 * @param {readonly NamedFile[]} files
 * @returns {ModelFiles}
 */
function ofZip(zip, files) {
  const leftOut = files.filter((one) => one !== zip);
  const problem = leftOut.length ? "A zip comes alone: put all files into it, or none" : "";
  return { sent: [zip], leftOut, name: zip.name, problem };
}

/**
 * @param {readonly NamedFile[]} files
 * @param {(name: string) => boolean} isNeeded
 * @param {string} name
 * @param {string} problem
 * @returns {ModelFiles}
 */
function parted(files, isNeeded, name, problem) {
  const sent = files.filter((one) => isNeeded(one.name));
  return { sent, leftOut: files.filter((one) => !isNeeded(one.name)), name, problem };
}

/** @param {readonly string[]} names */
function configProblem(names) {
  if (names.includes(WEIGHTS) || names.some(isSnapshot)) return "";
  const other = names.some((name) => /\.(bin|h5|msgpack)$|\.safetensors\b/.test(name));
  const what = other ? "its weights are in another form" : "it has no weights yet";
  return `${WEIGHTS} is missing: ${what}. ${SAVE_ONE}`;
}

/**
 * @param {readonly string[]} names
 * @param {string} checkpoint the one that is taken
 * @param {readonly string[]} checkpoints all
 */
function checkpointProblem(names, checkpoint, checkpoints) {
  if (checkpoint === CHECKPOINT || checkpoints.length === 1) return "";
  if (checkpoints.length > 1)
    return `Which is the model, ${checkpoints.join(" or ")}? Take one away`;
  if (names.includes(WEIGHTS)) {
    return `${CONFIG} is missing: weights alone do not say which model they are of`;
  }
  if (names.some((name) => name in VOCABULARIES)) {
    return "That is a vocabulary without a model: choose the checkpoint, too";
  }
  return "No model is among these: choose a .pt file, a zip, or a folder with a config.json";
}

/** @param {string} name */
function isZip(name) {
  return /\.zip$/i.test(name);
}

/** @param {string} name */
function isCheckpoint(name) {
  return /^[^/]+\.pth?$/.test(name);
}

/** @param {string} name */
function isSnapshot(name) {
  return name.startsWith(SNAPSHOTS) && /^step-\d+\.safetensors$/.test(name.slice(SNAPSHOTS.length));
}
