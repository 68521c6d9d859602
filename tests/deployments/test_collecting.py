import gc

from deployments.collecting import THRESHOLDS, collect_seldom


def test_the_collector_looks_less_often_and_still_looks() -> None:
    before = gc.get_threshold()
    try:
        collect_seldom()
        assert gc.get_threshold() == THRESHOLDS
        assert all(ours > theirs for ours, theirs in zip(THRESHOLDS, (700, 10, 10), strict=True))
        assert gc.isenabled()
    finally:
        gc.set_threshold(*before)
