"""The whole chain beside what a team would write on Ray Serve by itself: `python -m loadtests.bench.chain`."""
