/** Bands look the same everywhere: a colour and a letter, by their place among the bands of the server. */

const COLOURS = ["var(--band-0)", "var(--band-1)", "var(--band-2)", "var(--band-3)"] as const;
const TEXT = ["text-band-0", "text-band-1", "text-band-2", "text-band-3"] as const;
const GROUND = ["bg-band-0", "bg-band-1", "bg-band-2", "bg-band-3"] as const;

function place(bands: readonly string[], band: string): number {
  return Math.max(0, bands.indexOf(band)) % COLOURS.length;
}

/** A colour for canvases and charts: a CSS variable. */
export function bandColour(bands: readonly string[], band: string): string {
  return COLOURS[place(bands, band)] ?? COLOURS[0];
}

export function bandText(bands: readonly string[], band: string): string {
  return TEXT[place(bands, band)] ?? TEXT[0];
}

export function bandGround(bands: readonly string[], band: string): string {
  return GROUND[place(bands, band)] ?? GROUND[0];
}

/** The letter that stands beside the colour: the band's first, or its number where two begin alike. */
export function bandLetter(bands: readonly string[], band: string): string {
  const first = band.charAt(0).toUpperCase();
  const alike = bands.filter((other) => other.charAt(0).toUpperCase() === first);
  return alike.length > 1 ? `${first}${alike.indexOf(band) + 1}` : first;
}
