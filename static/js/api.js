// The server's API. No other module fetches; jobs_api.js has the calls around training.
//
// Where the server knows the page's key no longer, the document gets the event "signedout", with what
// to say as its detail; "signedin" with each answer after that (signed_out.js listens).
import { eventData } from "./sse.js";

/**
 * @typedef {{ train_loss: number, val_loss: number }} Losses
 *
 * @typedef {object} ImportedFrom
 * @property {"nanogpt" | "huggingface" | "exercise"} layout
 * @property {string} file the name of the file or folder
 * @property {string} sha256 of the file with the weights
 * @property {number | null} steps
 * @property {number | null} val_loss as its own trainer estimated it
 *
 * @typedef {"run" | "safetensors" | "huggingface" | "onnx"} ExportFormat
 *
 * @typedef {"confirmed" | "partly" | "refuted" | null} Verdict null: none so far
 * @typedef {{ hypothesis: string, outcome: string, verdict: Verdict }} Notes
 *
 * @typedef {object} Metric one evaluation
 * @property {number} step
 * @property {number} train_loss
 * @property {number} val_loss over the whole validation split
 * @property {number} learning_rate
 * @property {number} elapsed_s
 * @property {number} tokens_per_s
 * @property {Losses | null} estimate from random batches, where it was taken
 *
 * @typedef {{ step: number, prompt: string, text: string, seed: number, temperature: number }} Sample
 *
 * @typedef {object} Run
 * @property {string} id
 * @property {string} kind "gpt", "bigram" or "ngram"
 * @property {string} title
 * @property {{ model: Record<string, unknown>, train: Record<string, unknown> | null }} config train:
 *   null where it is not known, as the text of many that were brought in
 * @property {number} params
 * @property {number | null} train_loss
 * @property {number | null} val_loss
 * @property {number | null} wall_time_s
 * @property {number[]} steps those with a snapshot
 * @property {Losses | null} estimate
 * @property {string} hypothesis
 * @property {string} outcome
 * @property {Verdict} [verdict] on the hypothesis
 * @property {{ name: string, sha256: string, characters: number, canonical: boolean } | null} corpus
 * @property {ImportedFrom | null} [imported] where it was brought in from
 * @property {ExportFormat[]} [exports] as what it can be taken out
 * @property {number} block_size how many characters it can see
 * @property {number | null} n_layer
 * @property {number | null} n_head
 * @property {boolean} attention whether it has any
 * @property {string} created
 * @property {string | null} [tokenizer] "character" if nothing else is said
 * @property {number | null} [val_bits_per_character] its validation loss, whatever its tokens are
 * @property {{ run: string, step: number | null } | null} [init_from] whose weights it started from
 * @property {string | null} [device] what it was trained on, where that is known
 * @property {boolean} [training] whether it still is
 * @property {string} [start] what an empty prompt starts from; a newline if nothing else is said
 *
 * @typedef {Run & { metrics: Metric[], samples: Sample[], vocabulary: string[] }} RunWithHistory
 *
 * @typedef {{ runs: Run[], broken: { id: string, reason: string }[] }} RunList
 * @typedef {RunList & { max_import_bytes: number }} RunsReply
 */

/**
 * @typedef {object} CompletionRequest
 * @property {string} model
 * @property {string} prompt
 * @property {number | null} [step] take the snapshot of this training step
 * @property {number} max_tokens
 * @property {number} [temperature]
 * @property {number | null} [top_k]
 * @property {number | null} [top_p]
 * @property {number | null} [seed]
 * @property {number | null} [logprobs]
 *
 * @typedef {{ prompt_tokens: number, seen_tokens: number, seen_text: string }} Context
 *
 * @typedef {object} Logprobs natural logarithms, before temperature and filters
 * @property {string[]} tokens
 * @property {(number | null)[]} token_logprobs
 * @property {(Record<string, number> | null)[]} top_logprobs
 * @property {number[]} text_offset
 *
 * @typedef {object} CompletionChunk
 * @property {{ text: string, index: number, finish_reason: string | null, logprobs: Logprobs | null }[]} choices
 * @property {Context} [context] in the first one
 */

/** Whatever the server says of a key: the page has one as somebody signed in, or none. */
const SIGNED_OUT = "You are signed out.";

/** The server refused a request, or cannot be reached. Its message is for a person to read. */
export class ApiError extends Error {
  /**
   * @param {string} message
   * @param {{ status?: number, param?: string | null, code?: string | null, retryAfter?: number | null }} [about]
   *   status 0: there was no answer, or it broke off
   */
  constructor(message, { status = 0, param = null, code = null, retryAfter = null } = {}) {
    super(message);
    this.name = "ApiError";
    this.status = status;
    this.param = param;
    this.code = code;
    /** @type {number | null} seconds */
    this.retryAfter = retryAfter;
  }

  /** The message without the name of the field, for where it stands beside it. */
  get reason() {
    const name = `${this.param}: `;
    return this.message.startsWith(name) ? this.message.slice(name.length) : this.message;
  }

  /** Whether the connection failed rather than the request. */
  get disconnected() {
    return this.status === 0;
  }
}

/**
 * @param {AbortSignal} [signal]
 * @returns {Promise<RunsReply>}
 */
export async function listRuns(signal) {
  return (await send("/api/runs", { signal })).json();
}

/**
 * @param {string} id
 * @param {AbortSignal} [signal]
 * @returns {Promise<RunWithHistory>}
 */
export async function getRun(id, signal) {
  return (await send(`/api/runs/${encodeURIComponent(id)}`, { signal })).json();
}

/**
 * Change what is noted of a run.
 * @param {string} id
 * @param {Partial<Notes>} changes
 * @param {Partial<Notes>} read as they were read: refused with the code "notes_changed" where one of
 *   them differs by now
 * @returns {Promise<Run>}
 */
export async function editNotes(id, changes, read) {
  const headers = { "Content-Type": "application/json" };
  const body = JSON.stringify({ ...changes, if_unchanged: read });
  const path = `/api/runs/${encodeURIComponent(id)}`;
  return (await send(path, { method: "PATCH", headers, body })).json();
}

/**
 * Bring in a model.
 * @param {Blob} content one file, or a zip of several
 * @param {{ name: string, id?: string, title?: string, vocabulary?: string }} about what is empty, the
 *   server finds out
 * @param {{ onProgress?: (share: number) => void, signal?: AbortSignal }} [options]
 * @returns {Promise<Run>}
 */
export function importRun(content, about, { onProgress, signal } = {}) {
  const said = Object.entries(about).filter(([, value]) => value);
  const path = `/api/runs?${new URLSearchParams(said)}`;
  return upload(path, content, { type: "application/octet-stream", onProgress, signal });
}

/**
 * @param {string} id of a run
 * @param {ExportFormat} format
 * @returns {string} the address of a file to download
 */
export function exportPath(id, format) {
  return `/api/runs/${encodeURIComponent(id)}/export?format=${format}`;
}

/**
 * Ask for a file without having it sent.
 * @param {string} path
 * @throws {ApiError} where it would be refused, with the reason
 */
export async function checkFile(path) {
  try {
    await send(path, { method: "HEAD" });
  } catch (error) {
    if (isAbort(error) || /** @type {ApiError} */ (error).disconnected) throw error;
    const answer = await send(path); // only this one may have a body, which says why
    await answer.body?.cancel();
  }
}

/**
 * @param {string} path of a file of the site
 * @returns {Promise<string>} its text
 */
export async function siteText(path) {
  return (await send(path)).text();
}

/**
 * Text as it is written. Ends when the text does; aborting `signal` stops the server within a token.
 * @param {CompletionRequest} request
 * @param {AbortSignal} signal
 * @returns {AsyncGenerator<CompletionChunk, void, void>}
 * @throws {ApiError} when refused, or broken off before its end
 * @throws {DOMException} AbortError, when aborted
 */
export async function* streamCompletion(request, signal) {
  const body = { ...request, stream: true };
  const response = await post("/v1/completions", body, { accept: "text/event-stream", signal });
  if (!response.body) throw new ApiError("The server sent an empty answer.");
  try {
    for await (const data of eventData(response.body)) {
      if (data === "[DONE]") return;
      const chunk = JSON.parse(data);
      if (chunk.error) throw refusal(chunk.error, response.status, null);
      yield chunk;
    }
  } catch (error) {
    if (error instanceof ApiError || isAbort(error)) throw error;
    throw new ApiError("The connection broke off.");
  }
  throw new ApiError("The connection broke off before the text was finished.");
}

/**
 * @param {unknown} error
 * @returns {boolean} whether it only says that the request was given up
 */
export function isAbort(error) {
  return error instanceof DOMException && error.name === "AbortError";
}

/**
 * @param {string} path
 * @param {object} body
 * @param {{ accept?: string, signal?: AbortSignal }} [options]
 * @returns {Promise<Response>}
 * @throws {ApiError} when refused, or without an answer
 */
export function post(path, body, { accept = "application/json", signal } = {}) {
  const headers = { "Content-Type": "application/json", Accept: accept };
  return send(path, { method: "POST", headers, body: JSON.stringify(body), signal });
}

/**
 * @param {string} path
 * @param {RequestInit} [init]
 * @returns {Promise<Response>}
 * @throws {ApiError} when refused, or without an answer
 */
export async function send(path, init) {
  let response;
  try {
    response = await fetch(path, init);
  } catch (error) {
    if (isAbort(error)) throw error;
    throw unreachable();
  }
  if (response.ok) {
    if (!path.startsWith("/static/")) tellSignedIn(); // which anybody may have
    return response;
  }
  const retryAfter = Number(response.headers.get("Retry-After")) || null;
  const answer = await response.json().catch(() => null);
  const fallback = { message: `The server answered ${response.status} ${response.statusText}.` };
  throw refusal(answer?.error ?? fallback, response.status, retryAfter);
}

/**
 * Send a file and tell how much of it has gone; fetch cannot.
 * @param {string} path
 * @param {Blob} file
 * @param {{ type: string, onProgress?: (share: number) => void, signal?: AbortSignal }} options
 *   type: the file's media type
 * @returns {Promise<any>} the answer's JSON
 * @throws {ApiError} when refused, or without an answer
 */
export function upload(path, file, { type, onProgress, signal }) {
  const request = new XMLHttpRequest();
  request.open("POST", path);
  request.setRequestHeader("Content-Type", type);
  request.responseType = "json";
  request.upload.addEventListener("progress", ({ loaded, total }) => {
    onProgress?.(total ? loaded / total : 0);
  });
  signal?.addEventListener("abort", () => request.abort());
  return new Promise((resolve, reject) => {
    request.addEventListener("load", () => {
      const { status, statusText, response } = request;
      const fallback = { message: `The server answered ${status} ${statusText}.` };
      if (status >= 200 && status < 300) {
        tellSignedIn();
        resolve(response);
      } else reject(refusal(response?.error ?? fallback, status, null));
    });
    request.addEventListener("error", () => reject(unreachable()));
    request.addEventListener("abort", () => reject(new DOMException("given up", "AbortError")));
    request.send(file);
  });
}

/**
 * Follow a stream of events for as long as it takes. The browser reconnects by itself, from the
 * last event on, unless the server refuses.
 * @param {string} path
 * @param {Record<string, (data: any) => void>} listeners what to do with the JSON of each kind
 * @param {(connection: "open" | "retrying" | "refused") => void} [onConnection] each change
 * @returns {() => void} stops it; without that, it begins again after the stream's end
 */
export function openEvents(path, listeners, onConnection) {
  const source = new EventSource(path);
  for (const [kind, listener] of Object.entries(listeners)) {
    source.addEventListener(kind, ({ data }) => listener(JSON.parse(data)));
  }
  source.addEventListener("open", () => onConnection?.("open"));
  source.addEventListener("error", () => {
    onConnection?.(source.readyState === EventSource.CLOSED ? "refused" : "retrying");
  });
  return () => source.close();
}

function unreachable() {
  return new ApiError("The server cannot be reached. Is it still running?");
}

/**
 * @param {{ message: string, param?: string | null, code?: string | null }} error
 * @param {number} status
 * @param {number | null} retryAfter
 */
function refusal({ message, param = null, code = null }, status, retryAfter) {
  if (status === 401) {
    document.dispatchEvent(new CustomEvent("signedout", { detail: SIGNED_OUT }));
    return new ApiError(SIGNED_OUT, { status, code });
  }
  return new ApiError(message, { status, param, code, retryAfter });
}

/** That the page has a key, or needs none. */
function tellSignedIn() {
  document.dispatchEvent(new Event("signedin"));
}
