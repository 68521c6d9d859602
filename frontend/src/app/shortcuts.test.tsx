import { fireEvent, render, screen } from "@testing-library/react";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { handleShortcut, shortcutsNow, useShortcut } from "./shortcuts";

const send = vi.fn();
const next = vi.fn();

function Page() {
  useShortcut("s", "Send", send);
  useShortcut("j", "Next", next, true);
  return <input aria-label="Text" />;
}

beforeEach(() => document.addEventListener("keydown", handleShortcut));

afterEach(() => {
  document.removeEventListener("keydown", handleShortcut);
  vi.clearAllMocks();
});

test("a key does once what it does, however long it is held; only those that go through a list go on", () => {
  render(<Page />);
  for (const repeat of [false, true, true]) {
    fireEvent.keyDown(document.body, { key: "s", repeat });
    fireEvent.keyDown(document.body, { key: "j", repeat });
  }
  expect([send.mock.calls.length, next.mock.calls.length]).toEqual([1, 3]);
});

test.each([
  ["with Ctrl", { ctrlKey: true }],
  ["with Alt", { altKey: true }],
  ["with Cmd", { metaKey: true }],
])("%s it is the browser's", (_, modifier) => {
  render(<Page />);
  fireEvent.keyDown(document.body, { key: "s", ...modifier });
  expect(send).not.toHaveBeenCalled();
});

test("nothing happens while somebody types, or once the component is gone", () => {
  const { unmount } = render(<Page />);
  fireEvent.keyDown(screen.getByRole("textbox"), { key: "s" });
  unmount();
  fireEvent.keyDown(document.body, { key: "s" });
  expect(send).not.toHaveBeenCalled();
  expect(shortcutsNow()).toEqual([]);
});
