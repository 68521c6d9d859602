/** The edge burst: the very traffic that lets twice the limit through a fixed window, sent to a sliding log. */
import type { WindowNow } from "@/api/types";
import { count, duration, span } from "@/lib/format";
import type { SentRequest } from "./sent";

/** A window that can be filled in a moment at the page's own pace. */
const MOST_LIMIT = 50;
const SHORTEST_S = 5;
const LONGEST_S = 60;
/** Right after the edge. */
const AFTER_MS = 200;

export interface EdgeWorld {
  /** The windows that a request counts in, and the server's time in ms since 1970. */
  ask: () => Promise<{ windows: readonly WindowNow[]; serverMs: number }>;
  /** Sends so many as soon as may be; resolves when all have ended. */
  burst: (times: number) => Promise<(SentRequest | undefined)[]>;
  /** False where it was stopped meanwhile. */
  sleep: (ms: number) => Promise<boolean>;
  monotonic: () => number;
  watch: (window: WindowNow) => void;
  say: (text: string) => void;
}

/** The shortest window of requests that is small enough to be filled at once. */
export function windowToFill(windows: readonly WindowNow[]): WindowNow | null {
  const fit = windows.filter(
    ({ unit, enforced, limit, window_s }) =>
      unit === "requests" && enforced && limit <= MOST_LIMIT && window_s >= SHORTEST_S && window_s <= LONGEST_S,
  );
  return fit.sort((a, b) => a.window_s - b.window_s || a.limit - b.limit)[0] ?? null;
}

/** How long before the edge the first half begins: it must be over in time, at the page's own pace. */
export function leadMs(limit: number): number {
  return 600 + limit * 30;
}

/** When the first half shall begin: before an edge, and with nothing left in the window. Server time, in ms. */
export function beginAtMs({ used, limit, window_s }: WindowNow, nowMs: number): number {
  const windowMs = window_s * 1000;
  const emptyAtMs = used > 0 ? nowMs + windowMs : nowMs;
  const edgeMs = Math.ceil((emptyAtMs + leadMs(limit)) / windowMs) * windowMs;
  return edgeMs - leadMs(limit);
}

function admitted(results: readonly (SentRequest | undefined)[]): number {
  return results.filter((each) => each?.outcome === "allowed").length;
}

export async function edgeBurst(world: EdgeWorld): Promise<void> {
  const { windows, serverMs } = await world.ask();
  const offset = serverMs - world.monotonic();
  const now = () => world.monotonic() + offset;
  const window = windowToFill(windows);
  if (!window) {
    world.say(`This key has no window of ${MOST_LIMIT} requests or fewer that ends within a minute.`);
    return;
  }
  world.watch(window);
  const { limit, window_s } = window;
  const beginMs = beginAtMs(window, now());
  const edgeMs = beginMs + leadMs(limit);
  const half = `${count(limit)} requests just before the next edge of a fixed window of ${span(window_s)}`;
  world.say(`Within ${duration((beginMs - now()) / 1000)}: ${half}, and ${count(limit)} just after.`);
  if (!(await world.sleep(beginMs - now()))) return;
  world.say(`Sending ${half}.`);
  const before = admitted(await world.burst(limit));
  if (!(await world.sleep(edgeMs + AFTER_MS - now()))) return;
  const after = admitted(await world.burst(limit));
  world.say(
    `Before the edge ${before} of ${limit} were admitted, right after it ${after} of ${limit}. A fixed window begins anew at its edge: it would have admitted up to ${2 * limit} within ${duration((leadMs(limit) + AFTER_MS) / 1000)}.`,
  );
}
