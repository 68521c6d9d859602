/** The theme's colours for what is drawn on a canvas: the values of the variables in styles.css, read once a theme. */
import { useMemo } from "react";
import { useTheme } from "@/app/theme";

export interface Palette {
  panel: string;
  raised: string;
  line: string;
  lineStrong: string;
  text: string;
  quiet: string;
  allowed: string;
  denied: string;
  warning: string;
  window: string;
  bands: string[];
  font: string;
}

export function readPalette(): Palette {
  const style = getComputedStyle(document.documentElement);
  const of = (name: string) => style.getPropertyValue(`--${name}`).trim() || "gray";
  return {
    panel: of("panel"),
    raised: of("raised"),
    line: of("line"),
    lineStrong: of("line-strong"),
    text: of("text"),
    quiet: of("quiet"),
    allowed: of("allowed"),
    denied: of("denied"),
    warning: of("warning"),
    window: of("window"),
    bands: ["band-0", "band-1", "band-2", "band-3"].map(of),
    font: style.fontFamily || "sans-serif",
  };
}

/** Another object for another theme. */
export function usePalette(): Palette {
  const theme = useTheme((state) => state.theme);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the theme is what the variables depend on
  return useMemo(readPalette, [theme]);
}
