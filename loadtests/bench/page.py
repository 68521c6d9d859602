"""`make bench-page`: the page in a real Chromium while so many requests a minute go through the server that it shows.

Against a server that runs already (`make run` in another terminal: its demo keys are used, its limits deny most of what
is sent, and that is the point: each decision is an event). Every ten seconds garbage is collected and then the heap,
the DOM and the tasks longer than 50 ms are read from the browser. Prints a table, writes
loadtests/results/page.json, and ends by itself.

    python -m loadtests.bench.page --url http://127.0.0.1:8000 --events-per-minute 20000 --minutes 5
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import platform
import shutil
import time
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlsplit

from playwright.async_api import CDPSession, Page, async_playwright

RESULTS = Path(__file__).parents[1] / "results" / "page.json"
SAMPLE_S = 10
CONNECTIONS = 16
KEYS = ("sk-demo-internal", "sk-demo-premium", "sk-demo-standard", "sk-demo-batch")
BODY = b'{"model": "sim-small", "max_tokens": 4, "messages": [{"role": "user", "content": "Hello"}]}'

_OBSERVE = """
window.longTasks = [];
new PerformanceObserver((list) => {
  for (const task of list.getEntries()) window.longTasks.push(task.duration);
}).observe({ type: "longtask", buffered: true });
window.painted = 0;
(function paint() { window.painted += 1; requestAnimationFrame(paint); })();
"""

_TAKE = """
() => {
  const seen = [window.longTasks, window.painted];
  window.longTasks = [];
  window.painted = 0;
  return seen;
}
"""


def send(url: str, per_minute: int, seconds: float, sent: Any) -> None:
    """In a process of its own: requests at this pace over connections that stay open; counts statuses in `sent`."""
    asyncio.run(_send(url, per_minute, seconds, sent))


async def _send(url: str, per_minute: int, seconds: float, sent: Any) -> None:
    end = time.monotonic() + seconds
    pause_s = 60 * CONNECTIONS / per_minute
    await asyncio.gather(*(_connection(url, number, pause_s, end, sent) for number in range(CONNECTIONS)))


async def _connection(url: str, number: int, pause_s: float, end: float, sent: Any) -> None:
    where = urlsplit(url)
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: {where.netloc}\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {KEYS[number % len(KEYS)]}\r\nContent-Length: {len(BODY)}\r\n\r\n"
    ).encode()
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    due = time.monotonic() + number * pause_s / CONNECTIONS
    while due < end:
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        due += pause_s
        writer.write(head + BODY)
        answer = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = int(answer.split("content-length:")[1].split("\r\n")[0])
        await reader.readexactly(length)
        status = int(answer.split(" ", 2)[1])
        sent[min(status, 599)] += 1
    writer.close()


async def sample(page: Page, browser: CDPSession) -> dict[str, float]:
    """What the browser holds and what it has done since the last time."""
    await browser.send("HeapProfiler.collectGarbage")
    metrics = {each["name"]: each["value"] for each in (await browser.send("Performance.getMetrics"))["metrics"]}
    tasks, painted = await page.evaluate(_TAKE)
    return {
        "heap_mib": metrics["JSHeapUsedSize"] / 2**20,
        "dom_nodes": metrics["Nodes"],
        "listeners": metrics["JSEventListeners"],
        "long_tasks": len(tasks),
        "longest_task_ms": max(tasks, default=0.0),
        "frames_per_s": painted / SAMPLE_S,
    }


async def measured(url: str, per_minute: int, minutes: float) -> tuple[list[dict[str, float]], dict[int, int]]:
    """The samples, and how many requests had which status."""
    sent = multiprocessing.Array("L", 600)
    samples = []
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu", "--disable-quic"]
        )
        page = await chromium.new_page(viewport={"width": 1280, "height": 900})
        await page.add_init_script(_OBSERVE)
        await page.goto(url)
        await page.get_by_role("heading", name="Lanes").wait_for()
        browser = await page.context.new_cdp_session(page)
        await browser.send("Performance.enable")
        await asyncio.sleep(SAMPLE_S)
        await sample(page, browser)  # what loading the page took is not what is asked
        sender = multiprocessing.Process(target=send, args=(url, per_minute, minutes * 60, sent), daemon=True)
        sender.start()
        for number in range(int(minutes * 60 / SAMPLE_S)):
            await asyncio.sleep(SAMPLE_S)
            samples.append(await sample(page, browser))
            row = "  ".join(f"{name} {value:.1f}" for name, value in samples[-1].items())
            print(f"{(number + 1) * SAMPLE_S:4} s  {row}  load {os.getloadavg()[0]:.1f}", flush=True)
        sender.join(30)
        await chromium.close()
    return samples, {status: sent[status] for status in range(600) if sent[status]}


def slope_per_minute(values: list[float]) -> float:
    """By least squares."""
    middle_x, middle_y = (len(values) - 1) / 2, sum(values) / len(values)
    steep = sum((x - middle_x) * (y - middle_y) for x, y in enumerate(values))
    return steep / sum((x - middle_x) ** 2 for x in range(len(values))) * 60 / SAMPLE_S


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--events-per-minute", type=int, default=20_000)
    parser.add_argument("--minutes", type=float, default=5)
    options = parser.parse_args()
    samples, statuses = asyncio.run(measured(options.url, options.events_per_minute, options.minutes))
    report = {
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()} {platform.release()}",
        "requests_per_minute": sum(statuses.values()) / options.minutes,
        "statuses": statuses,
        "long_tasks": sum(each["long_tasks"] for each in samples),
        "longest_task_ms": max(each["longest_task_ms"] for each in samples),
        "heap_mib_median": median(each["heap_mib"] for each in samples),
        "heap_mib_per_minute": slope_per_minute([each["heap_mib"] for each in samples]),
        "dom_nodes_most": max(each["dom_nodes"] for each in samples),
        "frames_per_s_median": median(each["frames_per_s"] for each in samples),
        "samples": samples,
    }
    print(json.dumps({name: value for name, value in report.items() if name != "samples"}, indent=2))
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
