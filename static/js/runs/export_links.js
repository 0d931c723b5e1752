// A run as files for other programs: a link for each format that it can be taken out in.
import { ApiError, checkFile, exportPath } from "../api.js";
import { link } from "../elements.js";

/** @typedef {import("../api.js").ExportFormat} ExportFormat */

/** @type {Record<ExportFormat, string>} */
const NAMES = {
  run: "run folder (zip)",
  safetensors: "safetensors",
  huggingface: "Hugging Face",
  onnx: "ONNX",
};

/**
 * @param {import("../api.js").Run} run
 * @returns {HTMLElement[]} none where it cannot be taken out
 */
export function exportLine({ id, exports = [] }) {
  if (!exports.length) return [];
  const line = document.createElement("p");
  line.className = "exports";
  const status = document.createElement("span");
  status.setAttribute("role", "status");
  const alert = document.createElement("p");
  alert.className = "alert";
  alert.setAttribute("role", "alert");
  alert.hidden = true;
  const links = exports.map((format) => exportLink(id, format, { status, alert }));
  line.append("Take it out: ", ...links.flatMap((one, i) => (i ? [" · ", one] : [one])), status);
  return [line, alert];
}

/**
 * @param {string} id
 * @param {ExportFormat} format
 * @param {{ status: HTMLElement, alert: HTMLElement }} told where to tell how it goes
 */
function exportLink(id, format, { status, alert }) {
  const path = exportPath(id, format);
  const anchor = link(path, NAMES[format]);
  anchor.download = "";
  anchor.addEventListener("click", async (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    // A refusal is for this page to tell: as a file, or as a page, nobody reads it.
    event.preventDefault();
    alert.hidden = true;
    status.textContent = " making it …";
    try {
      await checkFile(path);
      saveFrom(path);
    } catch (error) {
      alert.textContent = error instanceof ApiError ? error.reason : String(error);
      alert.hidden = false;
    }
    status.textContent = "";
  });
  return anchor;
}

/** @param {string} path the browser writes what is there to the disk, past the page */
function saveFrom(path) {
  const anchor = link(path, "");
  anchor.download = "";
  anchor.click();
}
