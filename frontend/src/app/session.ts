/**
 * Who is using the page. Keys are here, in memory, and nowhere else: not in storage, not in a URL; closing the page
 * forgets them.
 */
import { create } from "zustand";
import { type Api, apiWith } from "@/api/client";
import type { DemoKey, PageSettings } from "@/api/settings";

interface Session {
  settings: PageSettings | null;
  /** The key for the feed and the pages of operators; empty until there is one. */
  key: string;
  begin: (settings: PageSettings) => void;
  signIn: (key: string) => void;
  signOut: () => void;
}

export const useSession = create<Session>((set) => ({
  settings: null,
  key: "",
  begin: (settings) => set({ settings, key: demoAdmin(settings)?.key ?? "" }),
  signIn: (key) => set({ key: key.trim() }),
  signOut: () => set({ key: "" }),
}));

function demoAdmin(settings: PageSettings): DemoKey | undefined {
  return settings.keys.find((each) => each.role === "admin");
}

const apis = new WeakMap<object, Api>();
let current = { key: "" };

/** The API with the session's key. */
export function useApi(): Api {
  const key = useSession((session) => session.key);
  if (current.key !== key) current = { key };
  const known = apis.get(current);
  if (known) return known;
  const made = apiWith(key);
  apis.set(current, made);
  return made;
}
