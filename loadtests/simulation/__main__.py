"""`make simulate`: runs the day, prints what was reached, draws the pictures. Exits with 1 where a figure is missed."""

import argparse
from time import perf_counter

from loadtests.simulation import day, pictures
from loadtests.simulation.measures import quantile
from loadtests.simulation.pool import Result


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=float, default=24.0, help="simulated hours (24)")
    parser.add_argument("--no-pictures", action="store_true", help="leave docs/qos/ as it is")
    options = parser.parse_args()
    started_s = perf_counter()
    results = day.run(options.hours)
    verdicts = day.judge(results)
    events = sum(result.events for result in results.values())
    print(
        f"{options.hours:g} hours on {day.SLOTS} slots, three times: {events:,} events "
        f"in {perf_counter() - started_s:.0f} s"
    )
    for name, result in results.items():
        _print_run(name, result)
    print()
    for verdict in verdicts:
        print(
            f"{'ok    ' if verdict.reached else 'MISSED'} {verdict.what}: {verdict.value:.4f} (must be {verdict.must})"
        )
    if not options.no_pictures:
        made = [*pictures.draw_knobs(), pictures.draw_day(results)]
        print(f"drawn: {', '.join(path.name for path in made)} in {pictures.FOLDER}")
    return 0 if all(verdict.reached for verdict in verdicts) else 1


def _print_run(name: str, result: Result) -> None:
    print(f"\n{name}")
    for band, record in result.bands.items():
        if record.arrived_s:
            waits, first = record.waited_s, record.first_token_s
            share = record.held_slot_s / (result.slots * max(result.samples[-1].at_s, 1.0))
            print(
                f"  {band:9} {len(waits):8,} served  {sum(record.shed.values()):8,} shed  {share:6.1%} of the slots  "
                f"wait p50 {quantile(waits, 0.5):7.2f} s  p99 {quantile(waits, 0.99):7.2f} s  "
                f"first token p50 {quantile(first, 0.5):7.2f} s  p99 {quantile(first, 0.99):7.2f} s"
            )


if __name__ == "__main__":
    raise SystemExit(main())
