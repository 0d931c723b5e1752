// A place on the page where files can be dropped.

/**
 * Anywhere else they would take the page, and what was typed into it, away.
 * @param {HTMLElement} place is marked while something hovers over it
 * @param {(dropped: DataTransfer) => void} onDrop
 */
export function listenToDrops(place, onDrop) {
  for (const kind of /** @type {const} */ (["dragover", "drop"])) {
    document.addEventListener(kind, (event) => {
      if (event.dataTransfer?.types.includes("Files")) event.preventDefault();
    });
  }
  place.addEventListener("dragover", () => place.classList.add("is-target"));
  place.addEventListener("dragleave", ({ relatedTarget }) => {
    const inside = relatedTarget instanceof Node && place.contains(relatedTarget);
    if (!inside) place.classList.remove("is-target");
  });
  place.addEventListener("drop", ({ dataTransfer }) => {
    place.classList.remove("is-target");
    if (dataTransfer) onDrop(dataTransfer);
  });
}
