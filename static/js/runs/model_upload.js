// A model's files on their way to the server: packed where they are several, sent, read there.
import { importRun } from "../api.js";
import { zipOf } from "../zip.js";

/**
 * @typedef {"packing" | "sending" | "reading"} Stage reading: all is there, and the server is at it
 * @typedef {{ name: string, id: string, title: string, vocabulary: string }} About
 */

/**
 * @param {readonly import("./model_files.js").NamedFile[]} files at least one
 * @param {About} about
 * @param {{ onStage: (stage: Stage, share: number) => void, signal: AbortSignal }} options
 * @returns {Promise<import("../api.js").Run>}
 * @throws {import("../api.js").ApiError} when refused, or without an answer
 * @throws {DOMException} AbortError, when aborted; NotReadableError, where a file has changed since
 */
export async function sendModel(files, about, { onStage, signal }) {
  const content = await contentOf(files, (share) => onStage("packing", share), signal);
  signal.throwIfAborted();
  onStage("sending", 0);
  const onProgress = (/** @type {number} */ share) =>
    onStage(share < 1 ? "sending" : "reading", share);
  return importRun(content, about, { onProgress, signal });
}

/**
 * @param {readonly import("./model_files.js").NamedFile[]} files
 * @param {(share: number) => void} onProgress
 * @param {AbortSignal} signal
 * @returns {Promise<Blob>}
 */
async function contentOf(files, onProgress, signal) {
  if (files.length === 1) return files[0].file;
  const entries = files.map(({ name, file }) => ({ name, content: file }));
  return zipOf(entries, { onProgress, signal });
}
