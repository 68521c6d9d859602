/** What there is to see with one click: who sends how much, and what will come of it. */
import type { LivePool } from "@/api/types";

export interface Choice {
  perSecond: number;
  atOnce: number;
  model: string;
  stream: boolean;
  /** Longest reply, in tokens; null: as long as the model likes. */
  maxTokens: number | null;
}

/** `quick`: the first model that the key may use. `scarce`: the one with the fewest slots. */
export type WhichModel = "quick" | "scarce";

export interface Part extends Omit<Choice, "model"> {
  band: string;
  model: WhichModel;
}

export type PresetId = "gentle" | "edge" | "noisy" | "flood" | "abusive";

export interface Preset {
  id: PresetId;
  name: string;
  /** What one will see. */
  says: string;
  parts: readonly Part[];
  /** The band whose shortest window is worth watching; null: none. */
  watch: string | null;
}

/** Replies of so many tokens are over in a moment: what is to be seen is the limit. */
export const SHORT_REPLY = 4;

function part(band: string, perSecond: number, more: Partial<Part> = {}): Part {
  return { band, perSecond, atOnce: 2, model: "quick", stream: false, maxTokens: SHORT_REPLY, ...more };
}

export const GENTLE: Preset = {
  id: "gentle",
  name: "Gentle",
  says: "Everybody asks a little, and standard somewhat more than its window of ten seconds holds: now and then one is denied.",
  parts: [
    part("internal", 0.5, { stream: true, maxTokens: null }),
    part("premium", 1, { stream: true, maxTokens: null }),
    part("standard", 1.5),
    part("batch", 0.4, { maxTokens: null }),
  ],
  watch: "standard",
};

export const PRESETS: readonly Preset[] = [
  GENTLE,
  {
    id: "edge",
    name: "Edge burst",
    says: "Fills standard's window just before a fixed window would begin anew, and asks for as much again just after: the sliding log admits none of the second half, a fixed window all of it.",
    parts: [part("standard", 0)],
    watch: "standard",
  },
  {
    id: "noisy",
    name: "Noisy neighbour",
    says: "Standard asks for twelve a second and gets what its limits allow; premium, beside it, is served as if it were alone.",
    parts: [part("standard", 12), part("premium", 2, { stream: true, maxTokens: 16 })],
    watch: "standard",
  },
  {
    id: "flood",
    name: "Batch flood, one interactive",
    says: "Batch keeps every slot of the model with the fewest busy and queues for more; premium's short requests come later and go first.",
    parts: [
      part("batch", 1.5, { atOnce: 4, model: "scarce", maxTokens: null }),
      part("premium", 0.5, { atOnce: 1, model: "scarce", stream: true, maxTokens: 16 }),
    ],
    watch: null,
  },
  {
    id: "abusive",
    name: "Abusive client",
    says: "Batch's key hammers on and never backs off: after enough denials it is blocked outright for a time, whatever room there is. Premium, beside it, notices nothing.",
    parts: [part("batch", 20, { atOnce: 4 }), part("premium", 1, { atOnce: 1 })],
    watch: "batch",
  },
];

/**
 * A model of those the key may use; `pools` are those that the live feed tells of. A server that has just started does
 * not know all its slots yet: then the last model stands for the scarce one, as catalogues list the large ones last.
 */
export function modelFor(which: WhichModel, models: readonly string[], pools: readonly LivePool[]): string | null {
  if (which === "quick") return models[0] ?? null;
  const slots = new Map(pools.map((pool) => [pool.name, pool.slots]));
  const own = models.filter((model) => slots.has(model)); // no aliases
  const known = own.map((model) => ({ model, slots: slots.get(model) ?? null }));
  if (known.length === 0 || known.some((each) => each.slots === null)) return own.at(-1) ?? models.at(-1) ?? null;
  return known.reduce((least, each) => ((each.slots ?? 0) < (least.slots ?? 0) ? each : least)).model;
}
