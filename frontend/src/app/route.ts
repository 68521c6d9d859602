/** Which screen is shown: the part of the address behind `#`. It never holds a key. */
import { useSyncExternalStore } from "react";

export const SCREENS = ["live", "chat", "policies", "tenants", "keys", "audit"] as const;
export type Screen = (typeof SCREENS)[number];

function current(): Screen {
  const named = window.location.hash.replace(/^#\/?/, "");
  return SCREENS.find((screen) => screen === named) ?? "live";
}

function onChange(listener: () => void): () => void {
  window.addEventListener("hashchange", listener);
  return () => window.removeEventListener("hashchange", listener);
}

export function useScreen(): Screen {
  return useSyncExternalStore(onChange, current);
}
