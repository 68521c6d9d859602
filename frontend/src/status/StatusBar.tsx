import { CircleAlert, CircleCheck, CirclePause, LoaderCircle, Pause, Play } from "lucide-react";
import { type ReactNode, useEffect, useState } from "react";
import { useSession } from "@/app/session";
import { useShortcut } from "@/app/shortcuts";
import { cn } from "@/lib/cn";
import { milliseconds } from "@/lib/format";
import type { FeedState } from "@/live/feed";
import { feed, model, useFeedState, useLiveValue } from "@/live/store";
import { useNow } from "@/live/useNow";
import { Button } from "@/ui/button";

/** How the page stands to the server: connected or not, Redis, the feed; pause, and sign out where one has signed in. */
export function StatusBar() {
  const state = useFeedState();
  const { settings, key, signOut } = useSession();
  const paused = state.is === "paused";
  const pausable = key !== "" && state.is !== "refused";
  const toggle = () => {
    if (paused) feed.resume();
    else if (pausable) feed.pause();
  };
  useShortcut("p", "Pause and resume the live picture", toggle);
  return (
    <>
      <div role="status" className="flex flex-wrap items-center gap-x-4 gap-y-1 text-sm tabular-nums">
        <Connection state={state} />
        {state.is === "live" && <Facts scope={state.scope} />}
      </div>
      {pausable && (
        <Button size="small" onClick={toggle} aria-keyshortcuts="P">
          {paused ? <Play aria-hidden className="size-4" /> : <Pause aria-hidden className="size-4" />}
          {paused ? "Resume" : "Pause"}
        </Button>
      )}
      {key && settings && !settings.demo && (
        <Button size="small" kind="quiet" onClick={signOut}>
          Sign out
        </Button>
      )}
    </>
  );
}

function Connection({ state }: { state: FeedState }) {
  switch (state.is) {
    case "idle":
      return null;
    case "connecting":
      return (
        <Told icon={<LoaderCircle aria-hidden className="size-4 motion-safe:animate-spin" />} className="text-quiet">
          Connecting
        </Told>
      );
    case "live":
      return (
        <Told icon={<CircleCheck aria-hidden className="size-4" />} className="text-allowed">
          Connected
        </Told>
      );
    case "paused":
      return (
        <Told icon={<CirclePause aria-hidden className="size-4" />} className="text-warning">
          Paused
        </Told>
      );
    case "away":
      return <Away why={state.why} retryAt={state.retryAt} />;
    case "refused":
      return (
        <Told icon={<CircleAlert aria-hidden className="size-4" />} className="text-denied">
          Key refused
        </Told>
      );
  }
}

function Away({ why, retryAt }: { why: string; retryAt: number }) {
  const left = useSecondsLeft(retryAt);
  return (
    <Told icon={<CircleAlert aria-hidden className="size-4" />} className="text-denied" title={why}>
      Not connected<span aria-hidden>{left > 0 ? `, again in ${left} s` : ", trying"}</span>
    </Told>
  );
}

/** By the browser's own clock: the server's may not be known yet. */
function useSecondsLeft(atMs: number): number {
  const secondsLeft = () => Math.max(0, Math.ceil((atMs - performance.now()) / 1000));
  const [, setLeft] = useState(secondsLeft);
  useEffect(() => {
    const timer = setInterval(() => setLeft(Math.max(0, Math.ceil((atMs - performance.now()) / 1000))), 500);
    return () => clearInterval(timer);
  }, [atMs]);
  return secondsLeft();
}

function Facts({ scope }: { scope: "everybody" | "tenant" }) {
  const store = useLiveValue((live) => live.frame?.store ?? "ok");
  const replicas = useLiveValue((live) => live.frame?.replicas ?? 0);
  const sampled = useLiveValue((live) => live.frame?.sampled ?? 1);
  const tenant = useLiveValue((live) => live.hello?.tenant ?? "");
  return (
    <>
      {store === "ok" ? (
        <Told className="text-quiet">Redis ok</Told>
      ) : (
        <Told icon={<CircleAlert aria-hidden className="size-4" />} className="font-semibold text-denied">
          Redis unreachable
        </Told>
      )}
      {store === "ok" && (
        <Told className="text-quiet max-sm:hidden">
          {replicas} {replicas === 1 ? "replica" : "replicas"}
        </Told>
      )}
      <Lag />
      {sampled > 1 && <Told className="text-warning">showing 1 in {sampled}</Told>}
      <Told className={cn("text-quiet", scope === "everybody" && "max-2xl:sr-only")}>
        {scope === "tenant" ? `tenant ${tenant}` : "everybody's traffic"}
      </Told>
    </>
  );
}

/** Told once a second: a number that changes ten times a second is read by nobody. */
function Lag() {
  useNow(1_000);
  return (
    <span aria-hidden className="inline-block min-w-[9ch] text-quiet">
      lag {milliseconds(model.frame?.lag_ms ?? 0)}
    </span>
  );
}

interface ToldProps {
  icon?: ReactNode;
  className: string;
  title?: string;
  children: ReactNode;
}

function Told({ icon, className, title, children }: ToldProps) {
  return (
    <span title={title} className={cn("inline-flex items-center gap-1.5 whitespace-nowrap", className)}>
      {icon}
      {children}
    </span>
  );
}
