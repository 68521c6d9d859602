/**
 * The API's reference at /docs (Swagger UI) and /redoc (Redoc), built into our own files: a browser that reads them
 * talks to this server alone. Each is one HTML file at the root of the build, and assets that are named by their
 * content. Their scripts stand in files, since the page's Content-Security-Policy runs none that stands in HTML.
 */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import type { Plugin } from "vite";

const require = createRequire(import.meta.url);

const SWAGGER_START = `SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#reference",
  deepLinking: true,
  validatorUrl: null,
  persistAuthorization: false,
  defaultModelsExpandDepth: 0,
});
`;

const REDOC_START = `Redoc.init("openapi.json", { nativeScrollbars: true }, document.getElementById("reference"));
`;

/** Redoc shows its maker's logo from there. */
const REDOC_LOGO = "https://cdn.redoc.ly/redoc/logo-mini.svg";
const NO_IMAGE = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg'/%3E";

const BODY_STYLE = "body { margin: 0; }\n";

interface Reference {
  title: string;
  html: string;
  styles: [name: string, source: string][];
  scripts: [name: string, source: string][];
}

function references(): Reference[] {
  return [
    {
      title: "Sluice: the API",
      html: "docs.html",
      styles: [
        ["swagger-ui.css", read("swagger-ui-dist/swagger-ui.css")],
        ["reference.css", BODY_STYLE],
      ],
      scripts: [
        ["swagger-ui.js", read("swagger-ui-dist/swagger-ui-bundle.js")],
        ["swagger-start.js", SWAGGER_START],
      ],
    },
    {
      title: "Sluice: the API's reference",
      html: "redoc.html",
      styles: [["reference.css", BODY_STYLE]],
      scripts: [
        ["redoc.js", withoutLogo(read("redoc/bundles/redoc.standalone.js"))],
        ["redoc-start.js", REDOC_START],
      ],
    },
  ];
}

/** The text of a package's file, without the address of its source map, which is not served. */
function read(file: string): string {
  return readFileSync(require.resolve(file), "utf8").replace(/\n\/[/*]# sourceMappingURL=\S+( \*\/)?\s*$/, "\n");
}

function withoutLogo(redoc: string): string {
  const parts = redoc.split(REDOC_LOGO);
  if (parts.length !== 2) throw new Error(`redoc has ${REDOC_LOGO} ${parts.length - 1} times, not once`);
  return parts.join(NO_IMAGE);
}

function page(title: string, styles: string[], scripts: string[]): string {
  return [
    "<!doctype html>",
    '<html lang="en">',
    '<meta charset="utf-8">',
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    `<title>${title}</title>`,
    '<link rel="icon" type="image/svg+xml" href="icon.svg">',
    ...styles.map((file) => `<link rel="stylesheet" href="${file}">`),
    '<div id="reference"></div>',
    ...scripts.map((file) => `<script src="${file}"></script>`),
    "</html>",
    "",
  ].join("\n");
}

export function apiDocs(): Plugin {
  return {
    name: "sluice-api-docs",
    apply: "build",
    generateBundle() {
      for (const { title, html, styles, scripts } of references()) {
        const files = (sources: [string, string][]) =>
          sources.map(([name, source]) => this.getFileName(this.emitFile({ type: "asset", name, source })));
        this.emitFile({ type: "asset", fileName: html, source: page(title, files(styles), files(scripts)) });
      }
    },
  };
}
