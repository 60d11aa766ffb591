"""Throughput and skew of a real run: two ranks that wait for each other, one of them slower."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from gpu_workbench_server.domain.pace import slow_rank
from gpu_workbench_server.services.job_files import JobStatus
from tests.support.runs import LOOP, Run

pytest.importorskip("torch")

SLOW = LOOP.replace(
    "    loss = model",
    "    time.sleep(0.02 if step < 5 else 0.3 if rank == 1 else 0.12)\n    loss = model",
)


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    one = Run(tmp_path / "job")
    yield one
    one.close()


def test_the_rank_that_the_others_wait_for_is_named_though_all_steps_take_as_long(run: Run) -> None:
    status = run.start(2, script=SLOW, args=["30"]).ended()
    assert status["state"] == "succeeded", (run.rank(0) / "err.log").read_text()
    seen = msgspec.convert(status, JobStatus)
    paces = seen.paces()
    assert paces[0].step == pytest.approx(paces[1].step, rel=0.15), "they meet at every step"
    assert 0.29 < paces[0].step < 0.6
    slow = slow_rank(paces)
    assert slow is not None and slow[0] == 1
    assert 1.5 < slow[1] < 3.0, "0.3 s of work against 0.12 s, and what both do besides"
