"""A few of the interruptions of `make test-faults`."""

from __future__ import annotations

import pytest
from faults import Bench, Case

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("strategy", "workers"), [("il", 0), ("fb", 2)])
def test_runs_stopped_at_random_moments_end_alike(strategy, workers, tmp_path):
    bench, stopped = Bench(tmp_path, seed=workers), 0
    while stopped < 2:
        stopped += bench.interrupt(Case(strategy, workers), most=2)
