/** The public part of a key, `sk-<id>-<secret>` or `sk-demo-<name>`: what may be cached and shown. Empty for what is no key. */
export function publicId(key: string): string {
  const [, demo, id] = /^sk-(?:(demo-[a-z]+)|([A-Za-z0-9]{1,64})-\w+)$/.exec(key) ?? [];
  return demo ?? id ?? "";
}
