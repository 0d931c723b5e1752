// The API's page: Swagger UI, in the page's theme.

/** @typedef {(options: Record<string, unknown>) => unknown} SwaggerUI */

const { SwaggerUIBundle } = /** @type {{ SwaggerUIBundle: SwaggerUI }} */ (
  /** @type {unknown} */ (globalThis)
);

const root = document.documentElement;

function followTheme() {
  root.classList.toggle("dark-mode", root.dataset.theme === "dark");
}

followTheme();
document.addEventListener("themechange", followTheme);

SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  tryItOutEnabled: true,
  displayRequestDuration: true,
  defaultModelsExpandDepth: 0,
});
