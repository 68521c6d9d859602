/**
 * licenses.txt of the build: every package that is in it, or that what is in it was made of, with its licence's own text.
 * A package without a licence that allows this ends the build.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Plugin } from "vite";

/** By its SPDX expression. */
const PERMISSIVE = /^\(?(MIT|ISC|0BSD|BSD|Apache-2\.0|MPL-2\.0|Python-2\.0|Unlicense|CC0-1\.0|Zlib|OFL-1\.1)\b/;

/** What the licence of a package that names none is told by. */
const MIT_TEXT = "Permission is hereby granted, free of charge, to any person";

interface Locked {
  version?: string;
  dev?: boolean;
  optional?: boolean;
  peer?: boolean;
}

interface Package {
  name: string;
  version: string;
  licence: string;
  text: string;
}

/** The packages that the build is made of: those of package-lock.json that are not for development only. */
export function shipped(root: string): Package[] {
  const lock = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")) as {
    packages: Record<string, Locked>;
  };
  return Object.entries(lock.packages)
    .filter(([path, locked]) => path !== "" && !locked.dev && existsSync(join(root, path)))
    .map(([path]) => describe(join(root, path)))
    .sort((a, b) => a.name.localeCompare(b.name) || a.version.localeCompare(b.version));
}

function describe(folder: string): Package {
  const manifest = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as Record<string, unknown>;
  const text = [folder, join(folder, "bundles")].flatMap(notices).join("\n\n");
  return {
    name: String(manifest["name"]),
    version: String(manifest["version"]),
    licence: String(manifest["license"] ?? (text.replace(/\s+/g, " ").includes(MIT_TEXT) ? "MIT" : "")),
    text,
  };
}

/** The notices in a folder; those of what a bundle holds are named like the bundle. */
function notices(folder: string): string[] {
  const names = existsSync(folder) ? readdirSync(folder) : [];
  return names
    .filter((name) => /^(licen[cs]e|notice|copying)|\.LICENSE\.txt$/i.test(name))
    .map((name) => readFileSync(join(folder, name), "utf8").trim());
}

/** Packages whose licence does not allow that they are in a product. */
export function refused(packages: Package[]): Package[] {
  return packages.filter(({ licence }) => !PERMISSIVE.test(licence) || / AND .*GPL|^\(?[AL]?GPL/.test(licence));
}

export function licences(root: string): Plugin {
  return {
    name: "sluice-licences",
    apply: "build",
    generateBundle() {
      const packages = shipped(root);
      const wrong = refused(packages);
      if (wrong.length > 0) {
        throw new Error(
          `no licence for a product: ${wrong.map((each) => `${each.name} (${each.licence})`).join(", ")}`,
        );
      }
      const source = packages.map(({ name, version, licence, text }) => `${name} ${version}\n${licence}\n\n${text}\n`);
      this.emitFile({ type: "asset", fileName: "licenses.txt", source: source.join(`\n${"-".repeat(80)}\n\n`) });
    },
  };
}
