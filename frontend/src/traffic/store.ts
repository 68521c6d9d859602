/** The page's traffic: who sends what, what runs, and what begins and ends it. Nothing runs before somebody asks. */
import { create } from "zustand";
import { model as live } from "@/live/store";
import { edgeBurst, windowToFill } from "./edge";
import { type Persona, personaNow, personasNow } from "./personas";
import { type Choice, modelFor, type Preset, type PresetId, SHORT_REPLY } from "./presets";
import { type LaneNow, type Pace, Scheduler } from "./scheduler";
import { send } from "./send";
import type { SentRequest } from "./sent";
import { modelsOf, sender, sleep, watch, windowsOf } from "./world";

export const USUAL: Choice = { perSecond: 1, atOnce: 2, model: "", stream: true, maxTokens: SHORT_REPLY };

const PROMPTS = ["What is a sluice?", "Why does a window slide?", "Who goes next, and why?", "What does a log keep?"];

interface Traffic {
  /** By persona; where there is none, the usual one holds. */
  choices: Readonly<Record<string, Choice>>;
  /** The personas that send at their rate. */
  running: ReadonlySet<string>;
  selected: string | null;
  preset: PresetId | null;
  /** What traffic has to say: what a preset does or has shown, and why it ended by itself. */
  says: string;
  begun: boolean;
}

export const useTraffic = create<Traffic>(() => ({
  choices: {},
  running: new Set(),
  selected: null,
  preset: null,
  says: "",
  begun: false,
}));

const scheduler = new Scheduler<SentRequest>(
  (id, signal) => sendAs(id, signal),
  {
    now: () => performance.now(),
    every: (ms, run) => {
      const timer = setInterval(run, ms);
      return () => clearInterval(timer);
    },
  },
  () => {
    stopTraffic();
    useTraffic.setState({ says: "The page was out of sight for a minute, so it stopped sending." });
  },
);

let program: AbortController | null = null;
let number = 0;

async function sendAs(id: string, signal: AbortSignal): Promise<SentRequest> {
  const persona = personaNow(id);
  if (!persona) throw new Error(`There is no persona ${id} any more.`);
  const { model, stream, maxTokens } = choiceOf(id);
  number += 1;
  const content = PROMPTS[number % PROMPTS.length] ?? "";
  return send({ persona, model, stream, maxTokens, messages: [{ role: "user", content }] }, sender, signal);
}

export function choiceOf(id: string): Choice {
  return useTraffic.getState().choices[id] ?? USUAL;
}

/** Changes what a persona sends; at once where it is sending. */
export function choose(id: string, more: Partial<Choice>): void {
  const choice = { ...choiceOf(id), ...more };
  useTraffic.setState(({ choices }) => ({ choices: { ...choices, [id]: choice } }));
  if (useTraffic.getState().running.has(id)) scheduler.run(id, paceOf(choice));
}

function paceOf({ perSecond, atOnce }: Choice): Pace {
  return { perSecond, atOnce };
}

export function selectPersona(id: string): void {
  useTraffic.setState({ selected: id });
}

/** The one that Send and Burst are for. */
export function selectedOf(personas: readonly Persona[], selected: string | null): Persona | null {
  return (
    personas.find(({ id }) => id === selected) ??
    personas.find(({ band }) => band === "standard") ??
    personas[0] ??
    null
  );
}

export async function startPersona(id: string): Promise<void> {
  useTraffic.setState(({ running }) => ({ running: new Set(running).add(id), begun: true }));
  if ((await hasModel(id)) && useTraffic.getState().running.has(id)) scheduler.run(id, paceOf(choiceOf(id)));
}

export function stopPersona(id: string): void {
  scheduler.halt(id);
  useTraffic.setState(({ running }) => ({ running: new Set([...running].filter((each) => each !== id)) }));
}

/** Sends so many at once, as far as the page's own limits let it; nothing where it was stopped before a model was known. */
export async function burst(id: string, times: number): Promise<void> {
  useTraffic.setState({ begun: true });
  const signal = scheduler.signal(id);
  if ((await hasModel(id)) && !signal.aborted) await scheduler.once(id, times);
}

/** Sees to it that a model is chosen; says why there is none. */
async function hasModel(id: string): Promise<boolean> {
  const persona = personaNow(id);
  if (!persona) return false;
  if (choiceOf(id).model) return true;
  try {
    const [first] = await modelsOf(persona);
    if (first === undefined) throw new Error("it may use no model");
    choose(id, { model: first });
    return true;
  } catch (error) {
    stopPersona(id);
    useTraffic.setState({ says: `${persona.name} cannot send: ${error instanceof Error ? error.message : error}` });
    return false;
  }
}

/** Ends everything, what is under way included; what a preset said of what comes is not true any more. */
export function stopTraffic(): void {
  program?.abort();
  program = null;
  scheduler.stop();
  useTraffic.setState(({ preset, says }) => ({ running: new Set(), preset: null, says: preset === null ? says : "" }));
}

export function trafficHidden(is: boolean): void {
  scheduler.hidden(is);
}

/** Whether there is anything to stop. */
export function trafficBusy(): boolean {
  return scheduler.busy || scheduler.inFlight > 0 || useTraffic.getState().preset !== null;
}

export function laneNow(id: string): LaneNow {
  return scheduler.now(id);
}

/** Who takes which part of a preset: the first persona of each band. Null where one is missing. */
export function castOf(preset: Preset, personas: readonly Persona[]): Map<string, Persona> | null {
  const cast = new Map<string, Persona>();
  for (const { band } of preset.parts) {
    const persona = personas.find((each) => each.band === band);
    if (!persona) return null;
    cast.set(band, persona);
  }
  return cast;
}

/** Ends what runs and begins this one. */
export async function startPreset(preset: Preset): Promise<void> {
  stopTraffic();
  const cast = castOf(preset, personasNow());
  if (!cast) return;
  const controller = new AbortController();
  program = controller;
  useTraffic.setState({ preset: preset.id, begun: true, says: preset.says });
  try {
    await runPreset(preset, cast, controller.signal);
  } catch (error) {
    if (controller.signal.aborted) return;
    stopTraffic();
    const why = error instanceof Error ? error.message : String(error);
    useTraffic.setState({ says: `${preset.name} could not begin: ${why}` });
  }
}

async function runPreset(preset: Preset, cast: Map<string, Persona>, signal: AbortSignal): Promise<void> {
  const names = await Promise.all([...cast.values()].map(modelsOf));
  if (signal.aborted) return;
  [...cast].forEach(([band, persona], index) => {
    const part = preset.parts.find((each) => each.band === band);
    const name = part && modelFor(part.model, names[index] ?? [], live.pools);
    if (!part || !name) throw new Error(`The key of ${persona.name} may use no model.`);
    const { band: _, perSecond, ...rest } = part;
    choose(persona.id, { ...rest, model: name, perSecond: perSecond || choiceOf(persona.id).perSecond });
  });
  const watched = preset.watch === null ? undefined : cast.get(preset.watch);
  if (watched) selectPersona(watched.id);
  if (preset.id === "edge" && watched) await runEdge(watched, signal);
  else {
    await Promise.all([...cast.values()].map(({ id }) => startPersona(id)));
    if (watched) await watchShortest(watched, signal);
  }
}

async function watchShortest(persona: Persona, signal: AbortSignal): Promise<void> {
  const { windows } = await windowsOf(persona, choiceOf(persona.id).model);
  const window = windowToFill(windows);
  if (window && !signal.aborted) watch(window);
}

async function runEdge(persona: Persona, signal: AbortSignal): Promise<void> {
  await edgeBurst({
    ask: () => windowsOf(persona, choiceOf(persona.id).model),
    burst: (times) => scheduler.once(persona.id, times),
    sleep: (ms) => sleep(ms, signal),
    monotonic: sender.monotonic,
    watch,
    say: (says) => !signal.aborted && useTraffic.setState({ says }),
  });
  if (!signal.aborted) useTraffic.setState({ preset: null });
}
