import "@testing-library/jest-dom/vitest";
import { cleanup } from "@testing-library/react";
import { afterEach } from "vitest";

// What jsdom leaves out of a browser: nothing is laid out or drawn, so nothing changes size or comes into sight.
class NothingToObserve {
  observe() {}
  unobserve() {}
  disconnect() {}
}

window.matchMedia ??= (media: string) =>
  Object.assign(new EventTarget(), {
    media,
    matches: false,
    onchange: null,
    addListener: () => undefined,
    removeListener: () => undefined,
  });
globalThis.ResizeObserver ??= NothingToObserve as unknown as typeof ResizeObserver;
globalThis.IntersectionObserver ??= NothingToObserve as unknown as typeof IntersectionObserver;
HTMLCanvasElement.prototype.getContext = () => null;

afterEach(cleanup);
