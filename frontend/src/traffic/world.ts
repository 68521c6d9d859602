/** What traffic needs of the world outside: the server's windows and models, its time, a sleep that can be stopped. */
import { apiWith } from "@/api/client";
import type { WindowNow } from "@/api/types";
import { feed, model } from "@/live/store";
import type { Persona } from "./personas";
import type { Sender } from "./send";
import { sent } from "./sent";

/** Everything is real here; tests bring their own. */
export const sender: Sender = {
  fetch: (...args) => fetch(...args),
  log: sent,
  monotonic: () => performance.now(),
  wallMs: () => (model.clock.known ? model.clock.now() : Date.now()),
  newId: newRequestId,
};

/** `crypto.randomUUID` is there only on loopback and over TLS; the page may be served without either. */
export function newRequestId(): string {
  if (typeof crypto.randomUUID === "function") return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The models that this key may use, aliases included. */
export async function modelsOf(persona: Persona): Promise<string[]> {
  const { data } = await apiWith(persona.key).GET("/v1/models");
  return (data?.data ?? []).map(({ id }) => id);
}

export async function windowsOf(
  persona: Persona,
  name: string,
): Promise<{ windows: readonly WindowNow[]; serverMs: number }> {
  const { data } = await apiWith(persona.key).GET("/v1/limits", { params: { query: { model: name } } });
  if (!data) throw new Error("The server did not say which limits apply.");
  return { windows: data.windows, serverMs: data.server_time_s * 1000 };
}

export function watch({ policy, subject }: WindowNow): void {
  feed.watch({ policy, subject });
}

/** False where it was stopped before. */
export function sleep(ms: number, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    if (signal.aborted) {
      resolve(false);
      return;
    }
    const end = (slept: boolean) => {
      clearTimeout(timer);
      signal.removeEventListener("abort", stop);
      resolve(slept);
    };
    const stop = () => end(false);
    const timer = setTimeout(() => end(true), Math.max(0, ms));
    signal.addEventListener("abort", stop);
  });
}
