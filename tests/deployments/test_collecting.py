import gc
from itertools import accumulate
from operator import mul

from deployments.collecting import THRESHOLDS, collect_seldom


def test_the_collector_looks_less_often_and_still_looks() -> None:
    before = gc.get_threshold()
    try:
        collect_seldom()
        assert gc.get_threshold() == THRESHOLDS
        ours, pythons = (list(accumulate(each, mul)) for each in (THRESHOLDS, (700, 10, 10)))
        assert all(mine > its for mine, its in zip(ours, pythons, strict=True)), (
            "after how many objects each is looked at"
        )
        assert gc.isenabled()
    finally:
        gc.set_threshold(*before)
