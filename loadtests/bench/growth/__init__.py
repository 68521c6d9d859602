"""What grows when what is asked grows: `python -m loadtests.bench.growth`.

Throughput and p99 against the number of policies that apply, the size of the catalogue, the entries in a log and the
ingress replicas; and the figures that docs/scaling.md counts with (`__main__.PARTS` has the list).
"""
