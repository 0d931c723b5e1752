// Dark or light. A classic script in the head, so that the page is never painted in the wrong one.
// What was chosen is remembered; until then the system decides, also while the page is open.
// A figure that draws with the theme's colours listens for "themechange" on the document.

(() => {
  const KEY = "sidelight-theme";
  const system = matchMedia("(prefers-color-scheme: dark)");

  /** @returns {string | null} */
  function remembered() {
    try {
      return localStorage.getItem(KEY);
    } catch {
      return null; // storage may be switched off; the theme then lasts as long as the page
    }
  }

  /** @param {string} theme */
  function remember(theme) {
    try {
      localStorage.setItem(KEY, theme);
    } catch {
      // as above
    }
  }

  /** @param {string} theme "dark" or "light" */
  function apply(theme) {
    document.documentElement.dataset.theme = theme;
    const toggle = document.getElementById("theme-toggle");
    toggle?.setAttribute("aria-pressed", String(theme === "dark"));
    document.dispatchEvent(new CustomEvent("themechange", { detail: theme }));
  }

  const current = () => remembered() ?? (system.matches ? "dark" : "light");

  apply(current());
  system.addEventListener("change", () => apply(current()));
  // Paper is light, also for what is drawn with the theme's colours.
  addEventListener("beforeprint", () => apply("light"));
  addEventListener("afterprint", () => apply(current()));
  addEventListener("storage", (event) => {
    if (event.key === KEY) apply(current());
  });
  document.addEventListener("DOMContentLoaded", () => {
    apply(document.documentElement.dataset.theme ?? "light");
    document.getElementById("theme-toggle")?.addEventListener("click", () => {
      const next = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
      remember(next);
      apply(next);
    });
  });
})();
