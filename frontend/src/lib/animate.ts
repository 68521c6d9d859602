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
    if (performance.now() >= dueAt) dueAt = performance.now() + draw(surfaceOf(canvas, ctx));
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
