// What the server put into the page, so that it can be drawn without asking again.

/** @returns {import("./api.js").RunList} the runs, and the folders that cannot be read */
export function pageData() {
  const data = JSON.parse(document.getElementById("page-data")?.textContent ?? "{}");
  return { runs: data.runs ?? [], broken: data.broken ?? [] };
}
