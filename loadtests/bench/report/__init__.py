"""What all benchmarks share in telling what they found: tables, bars, results that are kept, docs/benchmarks.md.

A benchmark is a part: a module under `loadtests.bench` that measures, keeps `loadtests/results/<part>.json` (`results`)
and its section of the page (`page`). Lines over time or size are drawn by `loadtests.simulation.svg`.
"""
