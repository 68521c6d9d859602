/** Draws a canvas: at the device's resolution, anew after every change of size, and only while it is to be seen. */

export interface Surface {
  ctx: CanvasRenderingContext2D;
  /** In CSS pixels. */
  width: number;
  height: number;
}

/** Draws, and says in how many ms the picture will be another by itself; `Infinity`: only when something changes. */
export type Draw = (surface: Surface) => number;

export interface Animation {
  /** What is drawn has changed. */
  changed: () => void;
  stop: () => void;
}

/** Drawing that takes longer is done half of the time at most: there is other work on the same thread. */
const SLOW_MS = 8;

/** Waits shorter than this are not worth a timer beside the browser's own frames. */
const A_FEW_FRAMES_MS = 48;

export function animate(canvas: HTMLCanvasElement, draw: Draw): Animation {
  const ctx = canvas.getContext("2d");
  if (!ctx) return { changed: () => undefined, stop: () => undefined };
  let visible = true;
  let frame = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let dueAt = 0;

  const paint = () => {
    frame = 0;
    const began = performance.now();
    if (began >= dueAt) {
      const next = draw(surfaceOf(canvas, ctx));
      const took = performance.now() - began;
      dueAt = began + took + Math.max(next, took > SLOW_MS ? took : 0);
    }
    schedule();
  };
  const ask = () => {
    timer = undefined;
    frame ||= requestAnimationFrame(paint);
  };
  const schedule = () => {
    clearTimeout(timer);
    timer = undefined;
    if (!visible || frame || dueAt === Number.POSITIVE_INFINITY) return;
    const waitMs = dueAt - performance.now();
    if (waitMs < A_FEW_FRAMES_MS) ask();
    else timer = setTimeout(ask, waitMs - 8);
  };
  const changed = () => {
    dueAt = 0;
    schedule();
  };
  const sizes = new ResizeObserver(changed);
  const sights = new IntersectionObserver((entries) => {
    visible = entries.at(-1)?.isIntersecting ?? true;
    schedule();
  });
  sizes.observe(canvas);
  sights.observe(canvas);
  changed();
  return {
    changed,
    stop: () => {
      sizes.disconnect();
      sights.disconnect();
      cancelAnimationFrame(frame);
      clearTimeout(timer);
      visible = false;
    },
  };
}

/** A part of the picture that stays the same for long: drawn once, and copied from then on. */
export class Layer {
  private key = "";
  private canvas: HTMLCanvasElement | null = null;

  /** `key`: all that the part depends on, beside the size. */
  draw(surface: Surface, key: string, paint: (surface: Surface) => void): void {
    const { ctx, width, height } = surface;
    const ratio = window.devicePixelRatio || 1;
    if (Math.round(width * ratio) === 0 || Math.round(height * ratio) === 0) return; // hidden, or being left
    const sized = `${width}x${height}@${ratio} ${key}`;
    if (this.key !== sized) {
      this.key = sized;
      this.canvas = document.createElement("canvas");
      this.canvas.width = Math.round(width * ratio);
      this.canvas.height = Math.round(height * ratio);
      const own = this.canvas.getContext("2d");
      own?.setTransform(ratio, 0, 0, ratio, 0, 0);
      if (own) paint({ ctx: own, width, height });
      else this.canvas = null;
    }
    if (this.canvas) ctx.drawImage(this.canvas, 0, 0, width, height);
    else paint(surface);
  }
}

function surfaceOf(canvas: HTMLCanvasElement, ctx: CanvasRenderingContext2D): Surface {
  const ratio = window.devicePixelRatio || 1;
  const { clientWidth: width, clientHeight: height } = canvas;
  const [across, down] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== across || canvas.height !== down) {
    canvas.width = across;
    canvas.height = down;
  }
  ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
  ctx.clearRect(0, 0, width, height);
  return { ctx, width, height };
}
