/** A server for tests of components: answers as the real one does, and remembers what it was asked. */
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { configure, render } from "@testing-library/react";
import axe from "axe-core";
import type { ReactNode } from "react";
import { expect, vi } from "vitest";
import { useSession } from "@/app/session";

export interface Asked {
  method: string;
  path: string;
  query: URLSearchParams;
  headers: Headers;
  body: unknown;
}

export interface Answer {
  status?: number;
  body?: unknown;
  headers?: Record<string, string>;
}

type Route = Answer | ((asked: Asked) => Answer);

// On a busy machine a page takes its time; nothing here measures any.
configure({ asyncUtilTimeout: 10_000 });
vi.setConfig({ testTimeout: 30_000 });

let now: FakeServer | undefined;

// Set once: clients of the API take hold of `fetch` when they are made, and outlive a test.
vi.stubGlobal("fetch", async (input: Request | string, init?: RequestInit) => {
  if (now === undefined) throw new TypeError("Failed to fetch");
  // The signal is left out: jsdom's is none to Node's Request.
  const { signal: _, ...asked } = init ?? {};
  return now.fetch(typeof input === "string" ? new Request(new URL(input, window.location.href), asked) : input);
});

export class FakeServer {
  readonly asked: Asked[] = [];
  /** By `METHOD /path`. */
  private routes = new Map<string, Route>();

  constructor() {
    now = this;
  }

  on(route: string, answer: Route): this {
    this.routes.set(route, answer);
    return this;
  }

  /** A page of a list, whole. */
  list(path: string, items: readonly unknown[]): this {
    return this.on(`GET ${path}`, { body: { items, next_cursor: null } });
  }

  refuse(route: string, status: number, message: string, code: string, param: string | null = null): this {
    return this.on(route, { status, body: { error: { message, type: "invalid_request_error", param, code } } });
  }

  requests(route: string): Asked[] {
    return this.asked.filter((each) => `${each.method} ${each.path}` === route);
  }

  last(route: string): Asked {
    const found = this.requests(route).at(-1);
    if (!found) throw new Error(`Nobody asked for ${route}`);
    return found;
  }

  async fetch(request: Request): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url);
    const text = await request.text();
    const asked: Asked = {
      method: request.method,
      path: decodeURIComponent(pathname),
      query: searchParams,
      headers: request.headers,
      body: text ? JSON.parse(text) : undefined,
    };
    this.asked.push(asked);
    const route = this.routes.get(`${asked.method} ${asked.path}`);
    if (route === undefined) {
      const error = { message: `There is nothing at '${asked.path}': see /docs.`, param: null, code: "not_found" };
      return Response.json({ error }, { status: 404 });
    }
    const { status = 200, body, headers = {} } = typeof route === "function" ? route(asked) : route;
    return status === 204 ? new Response(null, { status }) : Response.json(body, { status, headers });
  }
}

/** Shows a page to whoever has this key. */
export function show(page: ReactNode, key = "sk-demo-admin"): QueryClient {
  useSession.setState({ key, settings: null });
  const queries = new QueryClient({ defaultOptions: { queries: { retry: false } } });
  render(<QueryClientProvider client={queries}>{page}</QueryClientProvider>);
  return queries;
}

/** Colours are for a real browser: here nothing has any. */
export async function expectAccessible(): Promise<void> {
  // It looks for icons in fonts by drawing them, which jsdom cannot.
  vi.spyOn(HTMLCanvasElement.prototype, "getContext").mockReturnValue(null);
  const rules = { "color-contrast": { enabled: false }, region: { enabled: false } };
  const { violations } = await axe.run(document.body, { rules });
  const told = violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join("\n")}`);
  expect(told).toEqual([]);
}
