import "@testing-library/jest-dom/vitest";
import { cleanup } from "@testing-library/react";
import { afterEach } from "vitest";

// What jsdom leaves out of a browser. Nothing is laid out or drawn here, so nothing changes size or comes into sight.
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
window.PointerEvent ??= MouseEvent as unknown as typeof PointerEvent;
HTMLCanvasElement.prototype.getContext = () => null;

afterEach(cleanup);
