/**
 * What the admin pages ask the server, and how changes are sent. What is cached is cached for one key: by its public
 * id, never by the key. Whole keys that the server makes never get here (see keys/issuing.ts).
 */
import {
  type InfiniteData,
  keepPreviousData,
  type QueryKey,
  useInfiniteQuery,
  useMutation,
  useQuery,
  useQueryClient,
} from "@tanstack/react-query";
import type { Api } from "@/api/client";
import { ApiError } from "@/api/errors";
import type { operations } from "@/api/schema";
import { useApi, useSession } from "@/app/session";
import { publicId } from "@/lib/keys";
import type { Dimension, UsageWindow } from "./types";

export type Filters<Operation extends keyof operations> = Omit<
  NonNullable<operations[Operation]["parameters"]["query"]>,
  "cursor" | "limit"
>;

const PAGE = 200;
/** The largest page that the server gives. */
const MOST = 1_000;
const MOST_PAGES = 10;
/** Lists are asked for again this often: others change them too. */
const LIST_MS = 10_000;
const USAGE_MS = 2_000;
const SLA_MS = 5_000;

export function useAdminApi(): { api: Api; who: string } {
  const api = useApi();
  const who = publicId(useSession((session) => session.key));
  return { api, who };
}

/** The body of an answer. Errors were thrown already; an answer without a body is one too. */
export async function answered<T>(asked: Promise<{ data?: T; response: Response }>): Promise<T> {
  const { data, response } = await asked;
  if (data === undefined) throw new ApiError(response.status, { message: "The server's answer was empty." });
  return data;
}

interface PageOf<T> {
  items: T[];
  next_cursor?: string | null;
}

interface PageQuery {
  limit: number;
  cursor?: string;
}

type Load<T> = (api: Api, page: PageQuery, signal: AbortSignal) => Promise<PageOf<T>>;

/** A list that goes on behind its cursor. */
function usePages<T>(name: readonly unknown[], load: Load<T>, perPage = PAGE) {
  const { api, who } = useAdminApi();
  return useInfiniteQuery<PageOf<T>, Error, InfiniteData<PageOf<T>>, QueryKey, string>({
    queryKey: ["admin", who, ...name],
    queryFn: ({ pageParam, signal }) => load(api, { limit: perPage, ...(pageParam && { cursor: pageParam }) }, signal),
    initialPageParam: "",
    getNextPageParam: (page) => page.next_cursor || null,
    refetchInterval: LIST_MS,
    placeholderData: keepPreviousData,
  });
}

export type Pages<T> = ReturnType<typeof usePages<T>>;

export function itemsOf<T>(pages: Pages<T>): T[] {
  return pages.data?.pages.flatMap((page) => page.items) ?? [];
}

export function usePolicies(filters: Filters<"listPolicies"> = {}) {
  return usePages(["policies", filters], (api, page, signal) =>
    answered(api.GET("/admin/policies", { params: { query: { ...filters, ...page } }, signal })),
  );
}

export function useTenants(filters: Filters<"listTenants"> = {}) {
  return usePages(["tenants", filters], (api, page, signal) =>
    answered(api.GET("/admin/tenants", { params: { query: { ...filters, ...page } }, signal })),
  );
}

export function useUsers(filters: Filters<"listUsers"> = {}) {
  return usePages(["users", filters], (api, page, signal) =>
    answered(api.GET("/admin/users", { params: { query: { ...filters, ...page } }, signal })),
  );
}

export function useKeys(filters: Filters<"listKeys"> = {}) {
  return usePages(["keys", filters], (api, page, signal) =>
    answered(api.GET("/admin/keys", { params: { query: { ...filters, ...page } }, signal })),
  );
}

export function useModels() {
  return usePages(["models"], (api, page, signal) =>
    answered(api.GET("/admin/models", { params: { query: page }, signal })),
  );
}

export function useAudit(filters: Filters<"listAudit"> = {}) {
  return usePages(
    ["audit", filters],
    (api, page, signal) => answered(api.GET("/admin/audit", { params: { query: { ...filters, ...page } }, signal })),
    50,
  );
}

export interface Used {
  windows: UsageWindow[];
  /** Whether there are more than these. */
  more: boolean;
}

/** The windows that hold something now, asked for every two seconds: of one policy, of one tenant, or all. */
export function useUsage(of: { policy?: string; tenant?: string } = {}) {
  const { api, who } = useAdminApi();
  return useQuery({
    queryKey: ["admin", who, "usage", of],
    queryFn: ({ signal }) => allUsage(api, of, signal),
    refetchInterval: USAGE_MS,
  });
}

async function allUsage(api: Api, of: { policy?: string; tenant?: string }, signal: AbortSignal): Promise<Used> {
  const windows: UsageWindow[] = [];
  let cursor: string | null | undefined;
  // A page may be empty and yet not the last: the server walks through Redis a piece at a time.
  for (let pages = 0; pages < MOST_PAGES && windows.length < MOST; pages += 1) {
    const query = { ...of, limit: MOST, ...(cursor && { cursor }) };
    const page = await answered(api.GET("/admin/usage", { params: { query }, signal }));
    windows.push(...page.items);
    cursor = page.next_cursor;
    if (!cursor) break;
  }
  return { windows, more: Boolean(cursor) };
}

export function useSla() {
  const { api, who } = useAdminApi();
  return useQuery({
    queryKey: ["admin", who, "sla"],
    queryFn: ({ signal }) => answered(api.GET("/admin/sla", { signal })),
    refetchInterval: SLA_MS,
  });
}

/** What the key in use is: only admins and operators may ask. */
export function useOwnKey() {
  const { api, who } = useAdminApi();
  return useQuery({
    queryKey: ["admin", who, "own"],
    queryFn: ({ signal }) => answered(api.GET("/admin/keys/{id}", { params: { path: { id: who } }, signal })),
    staleTime: 60_000,
  });
}

/** The names that a dimension of policies may have, for suggestions; the first thousand. */
export function useKnown(dimension: Dimension): string[] {
  const { api, who } = useAdminApi();
  const found = useQuery({
    queryKey: ["admin", who, "known", dimension],
    queryFn: ({ signal }) => known(api, dimension, signal),
    staleTime: LIST_MS,
  });
  return found.data ?? [];
}

async function known(api: Api, dimension: Dimension, signal: AbortSignal): Promise<string[]> {
  const asked = { params: { query: { limit: MOST } }, signal };
  const named = ({ items }: PageOf<{ name: string }>) => items.map((each) => each.name);
  switch (dimension) {
    case "tenant":
      return named(await answered(api.GET("/admin/tenants", asked)));
    case "user":
      return named(await answered(api.GET("/admin/users", asked)));
    case "model":
      return named(await answered(api.GET("/admin/models", asked)));
    case "model_tier":
      return named(await answered(api.GET("/admin/tiers", asked)));
    case "api_key":
      return (await answered(api.GET("/admin/keys", asked))).items.map((each) => each.id);
    case "qos_tier":
      return [];
  }
}

export function useExplained(apiKey: string, model: string) {
  const { api, who } = useAdminApi();
  return useQuery({
    queryKey: ["admin", who, "policies", "explained", apiKey, model],
    queryFn: ({ signal }) =>
      answered(api.GET("/admin/explain", { params: { query: { api_key: apiKey, model } }, signal })),
    enabled: Boolean(apiKey && model),
  });
}

/** Sends a change; afterwards everything is read again. Nothing of it is kept. */
export function useChange<Input, Output = void>(send: (api: Api, input: Input) => Promise<Output>) {
  const { api, who } = useAdminApi();
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (input: Input) => send(api, input),
    gcTime: 0,
    onSettled: () => queries.invalidateQueries({ queryKey: ["admin", who] }),
  });
}

/** `If-Match`: the change holds only while nobody else has changed it since it was read. */
export function ifMatch(version: number): { "If-Match": string } {
  return { "If-Match": `"${version}"` };
}
