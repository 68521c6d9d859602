/** Which band is drawn in which slot. The server tells how many slots each band has, not which ones. */

/**
 * Slots by the band that uses each, `null` where free: what stood there before stays as far as it may, so that a box
 * does not change its letter while its request runs. `running`: how many each band has, the highest band first.
 */
export function assignSlots(
  before: readonly (string | null)[],
  running: readonly { name: string; running: number }[],
  slots: number,
): (string | null)[] {
  const left = new Map(running.map((band) => [band.name, band.running]));
  const after = Array.from({ length: slots }, (_, at) => {
    const band = before[at] ?? null;
    const more = band === null ? 0 : (left.get(band) ?? 0);
    if (band === null || more <= 0) return null;
    left.set(band, more - 1);
    return band;
  });
  let free = 0;
  for (const { name } of running) {
    for (let more = left.get(name) ?? 0; more > 0; more -= 1) {
      while (free < slots && after[free] !== null) free += 1;
      if (free === slots) return after;
      after[free] = name;
    }
  }
  return after;
}
