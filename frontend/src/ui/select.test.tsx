import { fireEvent, render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { useState } from "react";
import { afterEach, expect, test } from "vitest";
import { Select } from "./select";

const OPTIONS = ["apple", "pear"].map((value) => ({ value, label: value }));

afterEach(() => Reflect.deleteProperty(HTMLElement.prototype, "getAnimations"));

function Fruit() {
  const [fruit, setFruit] = useState("apple");
  return <Select label="Fruit" value={fruit} onChange={setFruit} options={OPTIONS} />;
}

test("a letter that is typed while the list is on its way out chooses nothing", async () => {
  render(<Fruit />);
  const trigger = screen.getByRole("combobox", { name: "Fruit" });
  await userEvent.click(trigger);
  const list = await screen.findByRole("listbox");
  // It fades for ever.
  HTMLElement.prototype.getAnimations = () => [{ finished: new Promise(() => {}) } as unknown as Animation];
  await userEvent.keyboard("{Escape}");
  const popup = list.closest("[data-closed]");
  expect(popup).not.toBeNull();
  fireEvent.keyDown(popup as Element, { key: "p" });
  expect(trigger).toHaveTextContent("apple");
});
