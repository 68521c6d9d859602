/** Calls of the server's API, typed by its description. A key is handed in for each call and kept nowhere here. */
import createClient, { type Client } from "openapi-fetch";
import { ApiError, errorBody } from "./errors";
import type { paths } from "./schema";

export type Api = Client<paths>;

/** A client that sends this key. Every answer that is no success is thrown as an `ApiError`. */
export function apiWith(key: string): Api {
  const api = createClient<paths>({ baseUrl: window.location.origin, headers: { authorization: `Bearer ${key}` } });
  api.use({
    async onResponse({ response }) {
      if (!response.ok)
        throw new ApiError(response.status, errorBody(await response.text(), response.status), response.headers);
    },
  });
  return api;
}
