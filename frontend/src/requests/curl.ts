/** The same request for a terminal. */

/** Where a key stands that is nobody else's business: the shell's own variable. */
export const KEY_VARIABLE = "$SLUICE_KEY";

/** `key`: null for one that must not be shown. */
export function curlOf(origin: string, body: string, key: string | null, stream: boolean): string {
  const authorization =
    key === null ? `"Authorization: Bearer ${KEY_VARIABLE}"` : quoted(`Authorization: Bearer ${key}`);
  return [
    `curl -i${stream ? "N" : ""} ${quoted(`${origin}/v1/chat/completions`)}`,
    `-H ${authorization}`,
    `-H ${quoted("Content-Type: application/json")}`,
    `-d ${quoted(body)}`,
  ].join(" \\\n  ");
}

/** A word of a POSIX shell: within single quotes everything stands for itself. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
