/**
 * Who the page can send as: the demo's keys, and those that were pasted. A pasted key stands here, in memory, and
 * nowhere else; requests that are remembered name their persona, never its key.
 */
import { useMemo } from "react";
import { create } from "zustand";
import { apiWith } from "@/api/client";
import type { PageSettings } from "@/api/settings";
import { useSession } from "@/app/session";

export interface Persona {
  /** Unique on this page: the key's public id. */
  id: string;
  /** How it reads: `paula of acme`. */
  name: string;
  key: string;
  tenant: string;
  user: string;
  band: string;
  /** A key that everybody may know: shown in full where it helps. */
  demo: boolean;
}

interface PastedState {
  pasted: readonly Persona[];
  add: (persona: Persona) => void;
  remove: (id: string) => void;
}

export const usePasted = create<PastedState>((set) => ({
  pasted: [],
  add: (persona) => set(({ pasted }) => ({ pasted: [...pasted.filter(({ id }) => id !== persona.id), persona] })),
  remove: (id) => set(({ pasted }) => ({ pasted: pasted.filter((each) => each.id !== id) })),
}));

export function demoPersonas(settings: PageSettings | null): Persona[] {
  return (settings?.keys ?? [])
    .filter(({ role }) => role === "inference")
    .map(({ id, key, tenant, user, band }) => ({
      id,
      key,
      tenant,
      user,
      band,
      demo: true,
      name: `${user} of ${tenant}`,
    }));
}

/** All of them: the demo's by band, highest first, then what was pasted. */
export function usePersonas(): readonly Persona[] {
  const settings = useSession((session) => session.settings);
  const { pasted } = usePasted();
  return useMemo(() => [...demoPersonas(settings), ...pasted], [settings, pasted]);
}

export function personasNow(): Persona[] {
  return [...demoPersonas(useSession.getState().settings), ...usePasted.getState().pasted];
}

export function personaNow(id: string): Persona | undefined {
  return personasNow().find((each) => each.id === id);
}

/** Asks the server whose key this is. Throws `ApiError` where it is nobody's. */
export async function identify(key: string): Promise<Persona> {
  const { data } = await apiWith(key).GET("/v1/limits");
  if (!data) throw new Error("The server did not say whose key this is.");
  const { api_key, tenant, user, qos_tier } = data;
  return { id: api_key, name: `${user} of ${tenant}`, key, tenant, user, band: qos_tier, demo: false };
}

/** A key as it may be shown: what is public of `sk-<id>-<secret>`, and dots. */
export function maskedKey(key: string): string {
  const secretFrom = key.lastIndexOf("-") + 1;
  const shown = key.startsWith("sk-") && secretFrom > 3 ? key.slice(0, secretFrom) : key.slice(0, 3);
  return `${shown}••••••`;
}
