/**
 * Keys that the server has just made. A whole key goes from the reply straight to the component that shows it, and is
 * forgotten with it: it is the result of no query and of no mutation, so no cache ever holds it.
 */
import { answered, ifMatch, useChange } from "../queries";
import type { KeySettings } from "../types";

export interface Issued {
  id: string;
  secret: string;
}

export interface Issue extends KeySettings {
  id: string | null;
}

export function useIssueKey(show: (issued: Issued) => void) {
  return useChange(async (api, body: Issue) => {
    const { secret, key } = await answered(api.POST("/admin/keys", { body }));
    show({ id: key.id, secret });
  });
}

export function useRotateKey(show: (issued: Issued) => void) {
  return useChange(async (api, { id, version, overlap }: { id: string; version: number; overlap: string }) => {
    const params = { path: { id }, header: ifMatch(version) };
    const { secret } = await answered(api.POST("/admin/keys/{id}/rotate", { params, body: { overlap } }));
    show({ id, secret });
  });
}
