import { CircleAlert } from "lucide-react";
import { cn } from "@/lib/cn";
import { count, milliseconds } from "@/lib/format";
import { limitInWords } from "@/requests/explain";
import { type HeaderLimit, limitsOf } from "@/requests/limits";
import type { SentRequest } from "@/traffic/sent";
import type { Turn } from "./conversation";
import { Retry } from "./Retry";

interface Props {
  turn: Turn;
  /** Only the last reply can be asked for again. */
  onAgain: (() => void) | null;
}

/** One side's turn: what was said, what it took, and, where there is no whole reply, why. */
export function TurnView({ turn, onAgain }: Props) {
  const mine = turn.role === "user";
  return (
    <article
      aria-label={mine ? "You" : "The model"}
      className={cn(
        "max-w-[85%] rounded-lg border border-line px-3.5 py-2.5",
        mine ? "self-end bg-raised" : "self-start",
      )}
    >
      {turn.text !== "" && <p className="break-words whitespace-pre-wrap">{turn.text}</p>}
      {!mine && !turn.result && turn.text === "" && <p className="text-quiet">Waiting for the first word…</p>}
      {turn.problem && (
        <div className={cn(turn.text !== "" && "mt-3")}>
          <p className="flex items-center gap-2 font-semibold text-denied">
            <CircleAlert aria-hidden className="size-4 shrink-0" />
            {turn.problem.title}
          </p>
          {turn.problem.sentences.map((sentence) => (
            <p key={sentence} className="mt-1">
              {sentence}
            </p>
          ))}
          {onAgain && <Retry key={turn.id} atMs={turn.retryAtMs} onAgain={onAgain} />}
        </div>
      )}
      {turn.result && <Took result={turn.result} />}
    </article>
  );
}

function Took({ result }: { result: SentRequest }) {
  const { tokens, firstMs, totalMs, headers } = result;
  const facts = [
    tokens && `${count(tokens.input)} tokens in, ${count(tokens.output)} out`,
    firstMs !== null && `first word after ${milliseconds(firstMs)}`,
    totalMs !== null && `${milliseconds(totalMs)} in all`,
  ].filter((each) => typeof each === "string");
  const tightest = tightestOf(limitsOf(headers));
  return (
    <div className="mt-2 text-sm text-quiet tabular-nums">
      {facts.length > 0 && <p>{facts.join(" · ")}</p>}
      {tightest && (
        <p>
          {tightest.policy}: {limitInWords(tightest)}
        </p>
      )}
    </div>
  );
}

/** The limit of which the smallest share is left: the one that would deny first. */
export function tightestOf(limits: readonly HeaderLimit[]): HeaderLimit | null {
  const share = ({ remaining, limit }: HeaderLimit) => (remaining ?? limit) / Math.max(1, limit);
  return limits.reduce<HeaderLimit | null>(
    (least, each) => (least === null || share(each) < share(least) ? each : least),
    null,
  );
}
