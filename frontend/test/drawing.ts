/** A canvas' context that remembers what is drawn on it: jsdom draws nothing. */

export interface Drawn {
  /** `arc`, `fill`, `fillText` …; or `moveTo` for where a line begins. */
  op: string;
  args: (number | string)[];
  alpha: number;
  fill: string;
  stroke: string;
}

export function recording(): { ctx: CanvasRenderingContext2D; drawn: Drawn[] } {
  const drawn: Drawn[] = [];
  const state: Record<string, unknown> = { globalAlpha: 1, fillStyle: "", strokeStyle: "" };
  const ctx = new Proxy(state, {
    get: (_, name: string) => {
      if (name in state) return state[name];
      return (...args: (number | string)[]) =>
        drawn.push({
          op: name,
          args,
          alpha: Number(state["globalAlpha"]),
          fill: String(state["fillStyle"]),
          stroke: String(state["strokeStyle"]),
        });
    },
    set: (_, name: string, value: unknown) => {
      state[name] = value;
      return true;
    },
  });
  return { ctx: ctx as unknown as CanvasRenderingContext2D, drawn };
}
