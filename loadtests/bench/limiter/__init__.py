"""The limiter side by side with others, in one run on one machine: `make bench-limiter`.

What it cannot show: a network between process and Redis, where contestants with one round trip a window lose more.
"""
