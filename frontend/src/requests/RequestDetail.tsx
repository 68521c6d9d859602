import { Check, Copy } from "lucide-react";
import { type ReactNode, useState } from "react";
import { clock, count, milliseconds } from "@/lib/format";
import { windowKey } from "@/live/model";
import { model, useLiveValue } from "@/live/store";
import { maskedKey, personaNow } from "@/traffic/personas";
import type { SentRequest } from "@/traffic/sent";
import { Button } from "@/ui/button";
import { Dialog } from "@/ui/dialog";
import { curlOf, KEY_VARIABLE } from "./curl";
import { type Explanation, explainSeen, explainSent, limitInWords } from "./explain";
import { limitsOf } from "./limits";
import { OutcomeMark } from "./OutcomeMark";
import type { Row } from "./rows";

/** Everything that is known of one request. */
export function RequestDetail({ row, onClose }: { row: Row | null; onClose: () => void }) {
  return (
    <Dialog
      open={row !== null}
      onOpenChange={(open) => !open && onClose()}
      title={row ? explain(row).title : "Request"}
      className="w-[min(48rem,calc(100vw-2rem))]"
    >
      {row && <Detail row={row} />}
    </Dialog>
  );
}

function explain({ sent, seen }: Row): Explanation {
  if (sent) return explainSent(sent, seen ?? undefined);
  if (!seen) return { title: "Request", sentences: [], retryMs: null };
  const window = model.windows.get(windowKey({ policy: seen.denied_by ?? "", subject: seen.denied_subject ?? "" }));
  return explainSeen(seen, window);
}

function Detail({ row }: { row: Row }) {
  useLiveValue(() => model.request(row.id)); // its ending may come while this is open
  const { sent } = row;
  return (
    <div className="flex flex-col gap-5">
      <div className="flex flex-col gap-1">
        {explain(row).sentences.map((sentence) => (
          <p key={sentence}>{sentence}</p>
        ))}
        {row.shadow.length > 0 && (
          <p>In shadow mode, so without effect, it would have been denied by {row.shadow.join(" and ")}.</p>
        )}
      </div>
      <Facts row={row} />
      {sent ? (
        <Own sent={sent} />
      ) : (
        <p className="text-quiet">
          Somebody else sent it: the server tells what it decided, never what stands in a request or a reply.
        </p>
      )}
    </div>
  );
}

function Facts({ row }: { row: Row }) {
  const tokens = row.sent?.tokens ?? null;
  const ending = row.seen?.ending ?? null;
  const facts: [string, ReactNode][] = [
    ["Outcome", <OutcomeMark key="outcome" outcome={row.outcome} status={row.status} />],
    ["Sent by", `${row.who}, ${row.band}`],
    ["Model", row.model],
    ["Decided", clock(row.atMs)],
    ["Waited for a slot", row.waitMs === null ? "–" : milliseconds(row.waitMs)],
    ["First token", row.firstMs === null ? "–" : milliseconds(row.firstMs)],
    ["Total", row.totalMs === null ? "–" : milliseconds(row.totalMs)],
    [
      "Tokens",
      tokens
        ? `${count(tokens.input)} in, ${count(tokens.output)} out`
        : ending
          ? `${count(ending.input_tokens)} in, ${count(ending.output_tokens)} out`
          : "–",
    ],
    ["Request id", <code key="id">{row.id}</code>],
  ];
  return (
    <dl className="grid grid-cols-[auto_minmax(0,1fr)] gap-x-4 gap-y-1 text-sm">
      {facts.map(([name, value]) => (
        <div key={name} className="contents">
          <dt className="text-quiet">{name}</dt>
          <dd className="tabular-nums break-words">{value}</dd>
        </div>
      ))}
    </dl>
  );
}

function Own({ sent }: { sent: SentRequest }) {
  const limits = limitsOf(sent.headers);
  const persona = personaNow(sent.persona);
  const key = persona?.demo ? persona.key : null;
  const bearer = persona ? (key ?? maskedKey(persona.key)) : "(a key that is forgotten)";
  return (
    <>
      {limits.length > 0 && (
        <Section title="What is left of its limits">
          <ul className="flex flex-col gap-0.5 text-sm">
            {limits.map((limit) => (
              <li key={limit.policy}>
                <span className="font-medium">{limit.policy}</span>: {limitInWords(limit)}.
              </li>
            ))}
          </ul>
        </Section>
      )}
      <Section title="Request">
        <Code
          label="Request"
          text={`POST /v1/chat/completions\nauthorization: Bearer ${bearer}\ncontent-type: application/json\nx-request-id: ${sent.id}\n\n${pretty(sent.body)}`}
        />
      </Section>
      <Section title="Reply">
        {sent.status === null ? (
          <p className="text-sm text-quiet">None came.</p>
        ) : (
          <Code label="Reply" text={`${sent.status}\n${headerLines(sent)}\n\n${replyText(sent)}`} />
        )}
      </Section>
      <Curl text={curlOf(window.location.origin, sent.body, key, sent.stream)} masked={key === null} />
    </>
  );
}

function headerLines({ headers }: SentRequest): string {
  return Object.entries(headers)
    .map(([name, value]) => `${name}: ${value}`)
    .join("\n");
}

function replyText({ reply, cut, error, outcome }: SentRequest): string {
  const text = pretty(reply) + (cut ? "\n… (the rest is not remembered)" : "");
  return outcome === "failed" && error && reply !== "" && !reply.includes(error.message)
    ? `${text}\n\n${error.message}`
    : text;
}

function pretty(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text; // no JSON: a streamed reply's text, or what some proxy says
  }
}

function Curl({ text, masked }: { text: string; masked: boolean }) {
  const [copied, setCopied] = useState<boolean | null>(null);
  const copy = () => {
    const done = navigator.clipboard?.writeText(text) ?? Promise.reject(new Error("no clipboard"));
    done.then(
      () => setCopied(true),
      () => setCopied(false),
    );
  };
  return (
    <Section
      title="The same with curl"
      action={
        <Button size="small" onClick={copy}>
          {copied ? <Check aria-hidden className="size-4" /> : <Copy aria-hidden className="size-4" />}
          {copied ? "Copied" : "Copy"}
        </Button>
      }
    >
      {masked && <p className="text-sm text-quiet">Put the key into {KEY_VARIABLE} first: it is not shown here.</p>}
      {copied === false && (
        <p role="alert" className="text-sm text-denied">
          The browser does not let this page copy: select the text instead.
        </p>
      )}
      <Code label="The same with curl" text={text} />
    </Section>
  );
}

function Section({ title, action, children }: { title: string; action?: ReactNode; children: ReactNode }) {
  return (
    <section aria-label={title} className="flex flex-col gap-1.5">
      <div className="flex items-center justify-between gap-2">
        <h3 className="font-medium">{title}</h3>
        {action}
      </div>
      {children}
    </section>
  );
}

function Code({ label, text }: { label: string; text: string }) {
  return (
    // biome-ignore lint/a11y/useSemanticElements: a fieldset is for controls, and a section would be one more landmark
    <div
      role="group"
      aria-label={`${label}, in full`}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard
      tabIndex={0}
      className="max-h-72 overflow-auto rounded-md border border-line bg-ground p-3 font-mono text-xs whitespace-pre-wrap break-words"
    >
      {text}
    </div>
  );
}
