// A short message that appears for a moment and is read aloud.

const SHOWN_MS = 3500;

/** @type {number | undefined} */
let timer;

/** @param {string} message */
export function announce(message) {
  const toast = document.getElementById("toast");
  if (!toast) return;
  toast.textContent = message;
  clearTimeout(timer);
  timer = setTimeout(() => {
    toast.textContent = "";
  }, SHOWN_MS);
}
