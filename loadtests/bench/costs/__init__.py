"""What Sluice costs before and beside any request: `python -m loadtests.bench.costs`.

Until `sluice up` is ready (`starts`), what each process holds (`memory`), and what the live feed adds to the requests
that it tells of (`live_feed`).
"""
