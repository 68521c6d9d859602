/** The windows that this key may watch; watches the best of them until somebody chooses. */
import { useQuery } from "@tanstack/react-query";
import { useEffect, useMemo } from "react";
import type { Api } from "@/api/client";
import type { WindowNow } from "@/api/types";
import { useApi, useSession } from "@/app/session";
import { publicId } from "@/lib/keys";
import { feed, model, useLiveValue } from "@/live/store";
import { bestOf, optionsOf, type WindowOption } from "./choice";

const ASKED_AGAIN_MS = 15_000;
const MOST_LISTED = 200;

/** The demo's key that is limited the most visibly: its window is watched first. */
const FIRST_BAND = "standard";

export function useWindows(): WindowOption[] {
  const api = useApi();
  const key = useSession((session) => session.key);
  const keys = useSession((session) => session.settings?.keys);
  const listening = useLiveValue((live) => live.hello !== null);
  const tenant = useLiveValue((live) => live.hello?.tenant ?? null);
  const heard = useLiveValue((live) => live.windows.size);
  const { data, isFetched } = useQuery({
    queryKey: ["windows", publicId(key), tenant],
    queryFn: () =>
      tenant === null
        ? used(
            api,
            (keys ?? []).filter((key) => key.role === "inference").map((key) => key.id),
          )
        : own(api),
    enabled: listening,
    refetchInterval: ASKED_AGAIN_MS,
  });
  const watching = useLiveValue(() => feed.watching !== null);
  const preferred = keys?.find((key) => key.band === FIRST_BAND)?.id ?? null;
  useEffect(() => {
    if (watching || !isFetched) return;
    const best = heard > 0 || data ? bestOf(knownOf(data), preferred) : null;
    if (best) feed.watch({ policy: best.policy, subject: best.subject });
  }, [data, isFetched, heard, preferred, watching]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the map changes in place; how many it holds tells of others
  return useMemo(() => optionsOf(knownOf(data)), [data, heard, watching]);
}

/** What was asked for and what the feed has told, but for what the server did not know any more. */
function knownOf(data: readonly WindowNow[] | undefined): WindowNow[] {
  return [...(data ?? []), ...model.windows.values()].filter((window) => !feed.isUnknown(window));
}

/** Every window in use, and all those of the demo's keys, empty ones too. */
async function used(api: Api, keyIds: readonly string[]): Promise<WindowNow[]> {
  const pages = await Promise.all([
    ...keyIds.map((id) => api.GET("/admin/usage", { params: { query: { api_key: id, limit: MOST_LISTED } } })),
    api.GET("/admin/usage", { params: { query: { limit: MOST_LISTED } } }),
  ]);
  return pages.flatMap((page) => page.data?.items ?? []);
}

async function own(api: Api): Promise<WindowNow[]> {
  return (await api.GET("/v1/limits")).data?.windows ?? [];
}
