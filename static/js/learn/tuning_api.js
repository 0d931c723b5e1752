// What an experiment can start from: presets, the settings there are, and the texts.
import { send } from "../api.js";
import { listCorpora } from "../jobs_api.js";
import { ConfigSchema } from "../train/config_schema.js";

/**
 * @typedef {object} Catalogue
 * @property {import("../jobs_api.js").Preset[]} presets
 * @property {ConfigSchema} schema
 * @property {import("../jobs_api.js").Corpus[]} corpora
 */

/** @type {Promise<Catalogue> | null} */
let known = null;

/** @returns {Promise<Catalogue>} asked for once, and again only where that failed */
export function catalogue() {
  known ??= ask().catch((error) => {
    known = null;
    throw error;
  });
  return known;
}

/** @returns {Promise<Catalogue>} */
async function ask() {
  const [presets, schema, corpora] = await Promise.all([
    send("/api/presets").then((reply) => reply.json()),
    send("/api/config-schema").then((reply) => reply.json()),
    listCorpora(),
  ]);
  return { ...presets, schema: new ConfigSchema(schema), corpora: corpora.corpora };
}
