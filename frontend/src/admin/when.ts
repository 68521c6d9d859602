/** Points in time as people read them, in their own zone. Pure. */

const FORMAT = new Intl.DateTimeFormat("en-GB", {
  year: "numeric",
  month: "short",
  day: "numeric",
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
});

/** `24 Nov 2026, 04:16:37` */
export function moment(iso: string): string {
  return FORMAT.format(new Date(iso));
}

/** A span of time: the day is told once where both are on it. */
export function between(from: string, to: string): string {
  const [begin, end] = [moment(from), moment(to)];
  const [day, time] = end.split(", ");
  return `from ${begin} to ${time !== undefined && begin.startsWith(`${day},`) ? time : end}`;
}

/** What `<input type="datetime-local">` holds, as the server takes it; null where it is empty. */
export function localToIso(local: string): string | null {
  const at = new Date(local);
  return local === "" || Number.isNaN(at.getTime()) ? null : at.toISOString();
}

/** The other way: to the minute, in this zone. */
export function isoToLocal(iso: string | null | undefined): string {
  if (!iso) return "";
  const at = new Date(iso);
  return new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}
