import { fileURLToPath } from "node:url";
import tailwindcss from "@tailwindcss/vite";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";
import { apiDocs } from "./build/api-docs.ts";
import { compress } from "./build/compress.ts";
import { licences } from "./build/licences.ts";

const root = fileURLToPath(new URL(".", import.meta.url));

// The server that `npm run dev` talks to: `make run` in another terminal starts it.
const server = process.env["SLUICE_URL"] ?? "http://127.0.0.1:8000";

export default defineConfig({
  plugins: [react(), tailwindcss(), apiDocs(), licences(root), compress()],
  resolve: { alias: { "@": fileURLToPath(new URL("./src", import.meta.url)) } },
  server: {
    host: "127.0.0.1",
    proxy: Object.fromEntries(
      ["/v1", "/admin", "/page", "/healthz", "/readyz", "/openapi.json", "/docs", "/redoc"].map((path) => [
        path,
        server,
      ]),
    ),
  },
  build: { target: "es2023", sourcemap: false, assetsInlineLimit: 0 },
  test: { environment: "jsdom", setupFiles: ["./test/setup.ts"], include: ["src/**/*.test.{ts,tsx}"] },
});
