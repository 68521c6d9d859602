import { CircleAlert } from "lucide-react";
import type { ReactNode } from "react";
import { Button } from "@/ui/button";
import { plainWords } from "./problems";
import type { Pages } from "./queries";

/** What went wrong, in the server's words, where it can be seen and is read aloud. */
export function Failure({ error, children }: { error: unknown; children?: ReactNode }) {
  return <Warning words={[plainWords(error)]}>{children}</Warning>;
}

export function Warning({ words, children }: { words: readonly string[]; children?: ReactNode }) {
  if (words.length === 0) return null;
  return (
    <div role="alert" className="mb-3 flex gap-2 rounded-md border border-denied p-3 text-sm">
      <CircleAlert aria-hidden className="mt-0.5 size-4 shrink-0 text-denied" />
      <div className="flex min-w-0 flex-col items-start gap-2">
        {words.map((line) => (
          <p key={line} className="break-words">
            {line}
          </p>
        ))}
        {children}
      </div>
    </div>
  );
}

interface Props {
  pages: Pages<unknown>;
  /** How many are shown of what was loaded. */
  shown: number;
  /** What they are called, such as `policies`. */
  what: string;
  /** Said where there are none at all. */
  empty: string;
}

/** Below a list: that it is being read, that it failed, that there is nothing, or how to go on. */
export function ListState({ pages, shown, what, empty }: Props) {
  if (pages.isPending) return <p role="status">{`Reading the ${what}…`}</p>;
  if (pages.isError) {
    return (
      <Failure error={pages.error}>
        <Button size="small" onClick={() => pages.refetch()}>
          Read again
        </Button>
      </Failure>
    );
  }
  const loaded = pages.data.pages.reduce((sum, page) => sum + page.items.length, 0);
  return (
    <div className="mt-3 flex flex-wrap items-center justify-between gap-3 text-sm text-quiet">
      <p role="status">
        {loaded === 0 && !pages.hasNextPage ? empty : shownWords(shown, loaded, pages.hasNextPage, what)}
      </p>
      {pages.hasNextPage && (
        <Button size="small" disabled={pages.isFetchingNextPage} onClick={() => pages.fetchNextPage()}>
          {pages.isFetchingNextPage ? "Reading…" : "Load more"}
        </Button>
      )}
    </div>
  );
}

function shownWords(shown: number, loaded: number, more: boolean, what: string): string {
  const of = more ? `the first ${loaded}` : `${loaded}`;
  if (shown === loaded) return more ? `The first ${loaded} ${what}.` : `${loaded} in all.`;
  return shown === 0 ? `None of ${of} ${what} fits. Search for something else.` : `${shown} of ${of} ${what}.`;
}
