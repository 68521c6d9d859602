/** A conversation with a model: its turns, the reply that is under way, and when a refused one may be sent again. */
import { create } from "zustand";
import { type Explanation, explainSent } from "@/requests/explain";
import type { Persona } from "@/traffic/personas";
import { type Asked, type Message, send } from "@/traffic/send";
import type { SentRequest } from "@/traffic/sent";
import { sender } from "@/traffic/world";

export interface Turn {
  id: number;
  role: "user" | "assistant";
  text: string;
  /** What came of the request, once it has ended; null for what a person said, and while the reply is under way. */
  result: SentRequest | null;
  /** Why there is no whole reply; null where there is one. */
  problem: Explanation | null;
  /** When the same request may fit, by the browser's monotonic clock in ms; null: nobody knows, or never. */
  retryAtMs: number | null;
}

interface Conversation {
  turns: readonly Turn[];
  /** Ends the reply that is under way; null while none is. */
  stop: (() => void) | null;
}

export interface With {
  persona: Persona;
  model: string;
}

export const useConversation = create<Conversation>(() => ({ turns: [], stop: null }));

type Send = (asked: Asked, signal: AbortSignal, onText: (text: string) => void) => Promise<SentRequest>;

const really: Send = (asked, signal, onText) => send(asked, sender, signal, onText);

let number = 0;

function turn(role: Turn["role"], text: string): Turn {
  number += 1;
  return { id: number, role, text, result: null, problem: null, retryAtMs: null };
}

/** Says something, and has the model reply. Does nothing while a reply is under way. */
export function say(text: string, whom: With, sending: Send = really): Promise<void> {
  if (useConversation.getState().stop !== null || text.trim() === "") return Promise.resolve();
  useConversation.setState(({ turns }) => ({ turns: [...turns, turn("user", text.trim())] }));
  return reply(whom, sending);
}

/** Asks again for the reply that failed. */
export function again(whom: With, sending: Send = really): Promise<void> {
  const { turns, stop } = useConversation.getState();
  if (stop !== null || turns.at(-1)?.role !== "assistant" || !turns.at(-1)?.problem) return Promise.resolve();
  useConversation.setState({ turns: turns.slice(0, -1) });
  return reply(whom, sending);
}

/** Forgets everything that was said. */
export function forget(): void {
  useConversation.getState().stop?.();
  useConversation.setState({ turns: [], stop: null });
}

/** What the model is told: replies that failed, and what they were to answer, have no place in it but at the end. */
export function messagesOf(turns: readonly Turn[]): Message[] {
  return turns
    .filter((each, at) => each.text !== "" && !each.problem && !turns[at + 1]?.problem)
    .map(({ role, text }) => ({ role, content: text }));
}

async function reply({ persona, model }: With, sending: Send): Promise<void> {
  const controller = new AbortController();
  const messages = messagesOf(useConversation.getState().turns);
  const pending = turn("assistant", "");
  useConversation.setState(({ turns }) => ({ turns: [...turns, pending], stop: () => controller.abort() }));
  const learn = (more: Partial<Turn>) =>
    useConversation.setState(({ turns }) => ({
      turns: turns.map((each) => (each.id === pending.id ? { ...each, ...more } : each)),
    }));
  const asked = { persona, model, messages, stream: true, maxTokens: null };
  const result = await sending(asked, controller.signal, (text) => learn({ text }));
  const problem = result.outcome === "allowed" ? null : explainSent(result);
  const retryAtMs = problem?.retryMs == null ? null : performance.now() + problem.retryMs;
  learn({ result, problem, retryAtMs });
  // Another conversation may have begun meanwhile, with a reply of its own.
  useConversation.setState(({ turns }) => (turns.some(({ id }) => id === pending.id) ? { stop: null } : {}));
}
