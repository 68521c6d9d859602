/** Light or dark: as the system says, until somebody chooses otherwise for as long as the page is open. */
import { create } from "zustand";

type Theme = "light" | "dark";

const system = window.matchMedia("(prefers-color-scheme: dark)");

interface ThemeState {
  theme: Theme;
  chosen: boolean;
  toggle: () => void;
}

export const useTheme = create<ThemeState>((set) => ({
  theme: system.matches ? "dark" : "light",
  chosen: false,
  toggle: () => set(({ theme }) => ({ theme: theme === "dark" ? "light" : "dark", chosen: true })),
}));

system.addEventListener("change", ({ matches }) => {
  if (!useTheme.getState().chosen) useTheme.setState({ theme: matches ? "dark" : "light" });
});

function apply(theme: Theme): void {
  document.documentElement.classList.toggle("dark", theme === "dark");
}

apply(useTheme.getState().theme);
useTheme.subscribe(({ theme }) => apply(theme));
