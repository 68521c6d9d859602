/** Compresses what is worth it once, at build time, so that the server need not at every request. */
import { gzipSync } from "node:zlib";
import type { Plugin } from "vite";

const TEXT = /\.(css|html|js|svg|txt)$/;
const WORTH_IT_BYTES = 1024;

export function compress(): Plugin {
  return {
    name: "sluice-compress",
    apply: "build",
    enforce: "post",
    generateBundle: {
      order: "post",
      handler(_, bundle) {
        for (const [fileName, file] of Object.entries(bundle)) {
          const content = Buffer.from(file.type === "chunk" ? file.code : file.source);
          if (!TEXT.test(fileName) || content.length < WORTH_IT_BYTES) continue;
          this.emitFile({ type: "asset", fileName: `${fileName}.gz`, source: gzipSync(content, { level: 9 }) });
        }
      },
    },
  };
}
