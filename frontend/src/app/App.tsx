import { CSPProvider } from "@base-ui/react/csp-provider";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { type ComponentType, lazy, Suspense, useEffect, useState } from "react";
import { ApiError } from "@/api/errors";
import { loadSettings } from "@/api/settings";
import { feed, useFeedState } from "@/live/store";
import { StatusBar } from "@/status/StatusBar";
import { Toasts } from "@/ui/toast";
import { LiveScreen } from "./LiveScreen";
import { type Screen, useScreen } from "./route";
import { Shell } from "./Shell";
import { SignIn } from "./SignIn";
import { useSession } from "./session";

const queries = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 1_000,
      retry: (failures, error) => failures < 2 && !(error instanceof ApiError && error.status < 500),
    },
  },
});

// The live screen is what a visitor came for; the others are loaded when somebody goes there.
const PAGES: Record<Screen, ComponentType> = {
  live: LiveScreen,
  chat: lazy(async () => ({ default: (await import("@/chat/ChatPage")).ChatPage })),
  policies: lazy(async () => ({ default: (await import("@/admin/PoliciesPage")).PoliciesPage })),
  tenants: lazy(async () => ({ default: (await import("@/admin/TenantsPage")).TenantsPage })),
  keys: lazy(async () => ({ default: (await import("@/admin/KeysPage")).KeysPage })),
  audit: lazy(async () => ({ default: (await import("@/admin/AuditPage")).AuditPage })),
};

export function App() {
  return (
    // The server's Content-Security-Policy allows no style elements; all that is lost are the components' own scrollbars.
    <CSPProvider disableStyleElements>
      <QueryClientProvider client={queries}>
        <Toasts>
          <Shell status={<StatusBar />}>
            <Content />
          </Shell>
        </Toasts>
      </QueryClientProvider>
    </CSPProvider>
  );
}

function Content() {
  const failure = useSettings();
  const { settings, key } = useSession();
  const refused = useFeedState().is === "refused";
  const Page = PAGES[useScreen()];
  useEffect(() => feed.use(key), [key]);
  if (!settings) {
    return <p role={failure ? "alert" : "status"}>{failure || "Asking the server…"}</p>;
  }
  if (!key || refused) return <SignIn />;
  return (
    <Suspense fallback={<p role="status">Loading…</p>}>
      <Page />
    </Suspense>
  );
}

/** Asks for the page's settings until the server answers; says what is wrong meanwhile. */
function useSettings(): string {
  const begin = useSession((session) => session.begin);
  const [failure, setFailure] = useState("");
  useEffect(() => {
    const controller = new AbortController();
    let timer: ReturnType<typeof setTimeout>;
    const ask = () => {
      loadSettings(controller.signal).then(begin, (error: unknown) => {
        if (controller.signal.aborted) return;
        setFailure(
          `The server does not answer (${error instanceof Error ? error.message : "no reason"}); asking again.`,
        );
        timer = setTimeout(ask, 1_000);
      });
    };
    ask();
    return () => {
      controller.abort();
      clearTimeout(timer);
    };
  }, [begin]);
  return failure;
}
