// Files and folders as they are dropped on the page, or chosen in the browser's own window.

/**
 * @typedef {import("./model_files.js").NamedFile} NamedFile
 * @typedef {{ files: NamedFile[], folder: string }} Picked folder: empty for files from anywhere
 */

/** A run's snapshots lie in a folder of their own; nothing else of a model is that deep. */
const INNER = "snapshots";

/**
 * @param {DataTransfer} dropped which forgets what it has as soon as anything is waited for
 * @returns {Promise<Picked>}
 */
export async function pickedByDrop(dropped) {
  const entries = [...dropped.items].map((item) => item.webkitGetAsEntry?.() ?? null);
  const loose = [...dropped.files];
  const folder = entries.find((entry) => entry?.isDirectory);
  if (!folder) return { files: visible(loose.map(asNamed)), folder: "" };
  const files = await filesIn(/** @type {FileSystemDirectoryEntry} */ (folder), "");
  return { files: visible(files), folder: folder.name };
}

/**
 * @param {FileList | readonly File[]} chosen
 * @returns {Picked}
 */
export function pickedByChoice(chosen) {
  const files = [...chosen];
  const folder = files[0]?.webkitRelativePath.split("/")[0] ?? "";
  if (!folder) return { files: visible(files.map(asNamed)), folder: "" };
  const inside = files.map((file) => ({
    name: file.webkitRelativePath.slice(folder.length + 1),
    file,
  }));
  const near = inside.filter(({ name }) => !name.includes("/") || name.startsWith(`${INNER}/`));
  return { files: visible(near), folder };
}

/** @param {File} file @returns {NamedFile} */
function asNamed(file) {
  return { name: file.name, file };
}

/** @param {NamedFile[]} files */
function visible(files) {
  return files.filter(({ name }) => !name.split("/").some((part) => part.startsWith(".")));
}

/**
 * @param {FileSystemDirectoryEntry} folder
 * @param {string} path what its files' names begin with
 * @returns {Promise<NamedFile[]>}
 */
async function filesIn(folder, path) {
  /** @type {NamedFile[]} */
  const found = [];
  for (const entry of await entriesOf(folder)) {
    if (entry.isFile) {
      found.push({ name: path + entry.name, file: await fileOf(/** @type {any} */ (entry)) });
    } else if (path === "" && entry.name === INNER) {
      found.push(...(await filesIn(/** @type {any} */ (entry), `${INNER}/`)));
    }
  }
  return found;
}

/**
 * @param {FileSystemDirectoryEntry} folder
 * @returns {Promise<FileSystemEntry[]>} all, where the browser gives a hundred at a time
 */
async function entriesOf(folder) {
  const reader = folder.createReader();
  /** @type {FileSystemEntry[]} */
  const all = [];
  for (;;) {
    /** @type {FileSystemEntry[]} */
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return all;
    all.push(...some);
  }
}

/** @param {FileSystemFileEntry} entry @returns {Promise<File>} */
function fileOf(entry) {
  return new Promise((resolve, reject) => entry.file(resolve, reject));
}
