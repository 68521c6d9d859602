import { execFileSync } from "node:child_process";
import { expect, test } from "vitest";
import { curlOf } from "./curl";

const ORIGIN = "http://127.0.0.1:8000";

/** What a shell makes of it: each word that curl would be given on a line of its own. */
function words(command: string, key = ""): string[] {
  const script = `curl() { for word in "$@"; do printf '%s\\0' "$word"; done; }\n${command}`;
  const out = execFileSync("sh", ["-c", script], { encoding: "utf8", env: { SLUICE_KEY: key } });
  return out.split("\0").slice(0, -1);
}

test("reads as one would write it", () => {
  expect(curlOf(ORIGIN, '{"model":"sim-small"}', "sk-demo-premium", true)).toBe(
    `curl -iN 'http://127.0.0.1:8000/v1/chat/completions' \\
  -H 'Authorization: Bearer sk-demo-premium' \\
  -H 'Content-Type: application/json' \\
  -d '{"model":"sim-small"}'`,
  );
});

test.each([
  '{"content":"it\'s here"}',
  "{\"content\":\"''''\"}",
  '{"content":"$(date) `date` $HOME !! \\\\ \\n"}',
  '{"content":"Bjørn & Søn; \u{1f600}"}',
  '{"content":"a\nb"}',
])("a shell hands on %j as it stands", (body) => {
  expect(words(curlOf(ORIGIN, body, "sk-demo-premium", false))).toEqual([
    "-i",
    `${ORIGIN}/v1/chat/completions`,
    ...["-H", "Authorization: Bearer sk-demo-premium"],
    ...["-H", "Content-Type: application/json"],
    ...["-d", body],
  ]);
});

test("a key that must not be shown is the shell's own variable", () => {
  const command = curlOf(ORIGIN, "{}", null, false);
  expect(command).toContain("$SLUICE_KEY");
  expect(words(command, "sk-abc-secret")[3]).toBe("Authorization: Bearer sk-abc-secret");
});
