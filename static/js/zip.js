// Several files as one zip, stored as they are. Its parts stay on the disk: however large they are, no
// file is ever in memory as a whole.
import { crc32 } from "./crc32.js";

/**
 * @typedef {{ name: string, content: Blob }} ZipEntry name: with slashes between folders
 * @typedef {{ name: Uint8Array<ArrayBuffer>, size: number, crc: number, offset: number }} Written
 */

/** Larger ones would need the format's second edition. */
const LARGEST = 0xffffffff;
const MOST_FILES = 0xffff;

const LOCAL = 0x04034b50;
const CENTRAL = 0x02014b50;
const END = 0x06054b50;
const VERSION = 20;
const NAMES_ARE_UTF8 = 1 << 11;
const STORED = 0;
const MIDNIGHT = 0;
const FIRST_DAY = 0x21; // 1 January 1980: when a file was changed is nobody's business

/**
 * @param {readonly ZipEntry[]} entries
 * @param {{ onProgress?: (share: number) => void, signal?: AbortSignal }} [options] onProgress: how
 *   much of it has been read
 * @returns {Promise<Blob>}
 * @throws {RangeError} for what a plain zip does not hold: four gigabytes, 65,535 files
 * @throws {DOMException} AbortError, when aborted; NotReadableError, where a file has changed since
 */
export async function zipOf(entries, { onProgress, signal } = {}) {
  const all = entries.reduce((sum, { content }) => sum + content.size, 0);
  if (all >= LARGEST || entries.length >= MOST_FILES) {
    throw new RangeError("a zip made in the browser holds less than four gigabytes");
  }
  /** @type {BlobPart[]} */
  const parts = [];
  /** @type {Written[]} */
  const written = [];
  let [offset, read] = [0, 0];
  for (const { name, content } of entries) {
    const crc = await checksum(content, signal, (count) => onProgress?.((read += count) / all));
    const entry = { name: new TextEncoder().encode(name), size: content.size, crc, offset };
    const header = localHeader(entry);
    parts.push(header, content);
    written.push(entry);
    offset += header.size + content.size;
  }
  const directory = new Blob(written.map(centralHeader));
  parts.push(directory, end(written.length, directory.size, offset));
  return new Blob(parts, { type: "application/zip" });
}

/**
 * @param {Blob} content
 * @param {AbortSignal | undefined} signal
 * @param {(count: number) => void} onRead so many bytes more
 */
async function checksum(content, signal, onRead) {
  const reader = content.stream().getReader();
  let sum = 0;
  for (;;) {
    signal?.throwIfAborted();
    const { done, value } = await reader.read();
    if (done) return sum;
    sum = crc32(value, sum);
    onRead(value.length);
  }
}

/** @param {Written} entry */
function localHeader({ name, size, crc }) {
  return new Blob([
    numbers([4, LOCAL], [2, VERSION], [2, NAMES_ARE_UTF8], [2, STORED]),
    numbers([2, MIDNIGHT], [2, FIRST_DAY], [4, crc], [4, size], [4, size]),
    numbers([2, name.length], [2, 0]),
    name,
  ]);
}

/** @param {Written} entry */
function centralHeader({ name, size, crc, offset }) {
  return new Blob([
    numbers([4, CENTRAL], [2, VERSION], [2, VERSION], [2, NAMES_ARE_UTF8], [2, STORED]),
    numbers([2, MIDNIGHT], [2, FIRST_DAY], [4, crc], [4, size], [4, size]),
    numbers([2, name.length], [2, 0], [2, 0], [2, 0], [2, 0], [4, 0], [4, offset]),
    name,
  ]);
}

/**
 * @param {number} count of files
 * @param {number} size of their directory, in bytes
 * @param {number} offset where it begins
 */
function end(count, size, offset) {
  return numbers([4, END], [2, 0], [2, 0], [2, count], [2, count], [4, size], [4, offset], [2, 0]);
}

/**
 * @param {[bytes: 2 | 4, value: number][]} fields
 * @returns {Uint8Array<ArrayBuffer>} one after the other, the low byte first
 */
function numbers(...fields) {
  const bytes = new Uint8Array(fields.reduce((sum, [count]) => sum + count, 0));
  const view = new DataView(bytes.buffer);
  let place = 0;
  for (const [count, value] of fields) {
    if (count === 2) view.setUint16(place, value, true);
    else view.setUint32(place, value, true);
    place += count;
  }
  return bytes;
}
