// What the server put into the page, so that it can be drawn without asking again.

/** @returns {import("./api.js").RunList} the runs, and the folders that cannot be read */
export function pageData() {
  const { runs = [], broken = [] } = read();
  return { runs, broken };
}

/**
 * @typedef {object} TrainingData
 * @property {import("./api.js").Run[]} runs
 * @property {import("./jobs_api.js").Preset[]} presets
 * @property {import("./train/config_schema.js").FormSchema} schema
 * @property {import("./jobs_api.js").Corpus[]} corpora
 * @property {import("./jobs_api.js").Device[]} devices
 *
 * @returns {TrainingData} what the form to train a run needs
 */
export function trainingData() {
  const { runs = [], presets = [], schema, corpora = [], devices = [] } = read();
  return { runs, presets, schema, corpora, devices };
}

function read() {
  return JSON.parse(document.getElementById("page-data")?.textContent ?? "{}");
}
