import { useLiveValue } from "@/live/store";

/** What the marks of the log mean. */
export function Legend() {
  const profile = useLiveValue((live) => live.log.profile !== null);
  const sampled = useLiveValue((live) => live.frame?.sampled ?? 1);
  const tokens = useLiveValue((live) => live.log.window?.unit.endsWith("_tokens") ?? false);
  return (
    <ul aria-label="What the marks mean" className="flex flex-wrap gap-x-5 gap-y-1 text-sm text-quiet">
      {profile ? (
        <Entry mark={<rect x="3" y="3" width="6" height="10" className="fill-allowed" />}>
          more than 2,000 entries: bars show how many there are at each time
        </Entry>
      ) : (
        <>
          <Entry
            mark={
              tokens ? (
                <rect x="5" y="1" width="5" height="14" className="fill-allowed" />
              ) : (
                <circle cx="8" cy="8" r="6" className="fill-allowed" />
              )
            }
          >
            admitted: an entry in Redis{tokens && ", as tall as its tokens"}
          </Entry>
          <Entry mark={<circle cx="8" cy="8" r="5.5" fill="none" strokeWidth="1.5" className="stroke-line-strong" />}>
            taken back: counts 0
          </Entry>
        </>
      )}
      <Entry mark={<path d="M4 4l8 8M12 4l-8 8" strokeWidth="2" strokeLinecap="round" className="stroke-denied" />}>
        denied: not stored{sampled > 1 && ` (1 in ${sampled} shown)`}
      </Entry>
      <Entry
        mark={
          <text x="8" y="12.5" textAnchor="middle" className="fill-allowed text-[12px] font-semibold">
            +1
          </text>
        }
      >
        room given back
      </Entry>
    </ul>
  );
}

export function Entry({ mark, children }: { mark: React.ReactNode; children: React.ReactNode }) {
  return (
    <li className="inline-flex items-center gap-1.5">
      <svg aria-hidden="true" viewBox="0 0 16 16" className="size-4 shrink-0">
        {mark}
      </svg>
      <span>{children}</span>
    </li>
  );
}
