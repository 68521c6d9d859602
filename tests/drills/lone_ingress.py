"""An ingress without Ray in a process of its own, so that its clock can be another.

`python -m tests.drills.lone_ingress SOCKET` prints its address and its time, and serves until its standard input ends.
"""

import sys
import time

from tests.deployments.ingress.conftest import LocalPools
from tests.deployments.ingress.served import Server
from tests.drills.kit.application import CATALOGUE

if __name__ == "__main__":
    pools = LocalPools()
    catalogue = {
        **CATALOGUE,
        "models": [{**model, "pool": "small"} for model in CATALOGUE["models"]],
    }
    with Server(sys.argv[1], catalogue, pools) as server:
        print(server.url, time.time(), flush=True)
        sys.stdin.read()
