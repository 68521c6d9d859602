/** The page's one live model and feed, for components. The model changes in place, ten times a second at most. */
import { useSyncExternalStore } from "react";
import { Feed, type FeedState } from "./feed";
import { LiveModel } from "./model";

export const model = new LiveModel();

const listeners = new Set<() => void>();
let version = 0;

/** Says that the model is another now: for the feed, and for tests that stand in for it. */
export function changed(): void {
  version += 1;
  for (const listener of listeners) listener();
}

export const feed = new Feed(model, changed);

/** Called after every change; returns what ends that. For what is not drawn by React. */
export function onLive(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** The live model: renders again with every frame. Keep components that use it small. */
export function useLive(): LiveModel {
  useSyncExternalStore(onLive, () => version);
  return model;
}

/** One value of the model: renders again only when that is another. It must be a primitive or stay the same object. */
export function useLiveValue<T>(select: (model: LiveModel) => T): T {
  return useSyncExternalStore(onLive, () => select(model));
}

export function useFeedState(): FeedState {
  return useSyncExternalStore(onLive, () => feed.state);
}
