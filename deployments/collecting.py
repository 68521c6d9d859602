"""How often Python looks for garbage, in processes that hold thousands of requests at once.

Reference counts free nearly all of it at once; the collector is there for what refers to itself. By Python's own
thresholds it walks over everything that is alive whenever that has grown by a quarter, while nothing else runs: with
3,000 streams open for 0.7 s each time, which is longer than a check of limits may take. So it looks less often here.
What refers to itself waits longer for it: what has grown old, for at most 4 million objects, some hundred MB; what is
young (nearly all: a stream that its client left, with the error that says so) for 2,000. The young are looked at once
each, however often that is; with 10,000 a replica that few leave grew, by 10 MiB an hour, until it came to that. What
was alive when the young were looked at, as a stream under way is, waits for 10,000: with 40,000 that took a quarter of
an hour where two streams were left each second, and an ingress grew for as long.
"""

import gc

THRESHOLDS = (2_000, 5, 400)
"""Of objects made and not freed until the youngest are looked at; how often those, until the older ones are; how often
these, until all are. Python's own are 700, 10 and 10."""


def collect_seldom() -> None:
    """For this process, from now on. (Ray Serve takes what a replica has made while it started out of the collector's
    sight by itself.)"""
    gc.set_threshold(*THRESHOLDS)
