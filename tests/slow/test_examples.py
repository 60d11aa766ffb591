"""The examples of training, from the first cell to the last, on slices of a real server."""

from __future__ import annotations

import re

import numpy as np
import pytest

from tests.kernels.conftest import here as here
from tests.kernels.conftest import session_workbench as session_workbench
from tests.kernels.conftest import workbench as workbench
from tests.support import quickstart
from tests.support.lab import LabServer
from tests.support.waiting import wait_for

pytest.importorskip("torch")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def run(server: LabServer, notebook: str) -> str:
    """What its cells said; afterwards nothing is held and no process of it is left."""
    said = quickstart.texts(quickstart.run(server, notebook))
    wait_for(lambda: quickstart.nothing_is_held(server), 30, "every slice free again")
    # TensorBoard stays a while for who looks at it.
    left = [one for one in quickstart.left_over(server) if "holders.board" not in one]
    assert left == []
    return said


def test_a_small_gpt_learns_pythons_documentation(workbench: LabServer) -> None:
    said = run(workbench, "04-train-gpt.ipynb")
    assert re.search(r"[3-9]\d\d,\d{3} characters", said)
    losses = [float(one) for one in re.findall(r"test_loss (\d\.\d+)", said)]
    assert losses and min(losses) < 3.0, "an alphabet of its size alone is worth about 4.5"
    assert "3 runs: 3 succeeded" in said


def test_digits_are_stopped_resumed_and_compared(workbench: LabServer) -> None:
    said = run(workbench, "05-ddp-digits.ipynb")
    stopped, goes_on = map(
        int, re.findall(r"stopped after step (\d+), goes on at step (\d+)", said)[0]
    )
    assert 0 < stopped < goes_on
    assert said.count("succeeded: loss") == 2
    assert "a batch of 13 can't be shared evenly by 2 ranks" in said


def test_a_script_for_accelerate_and_its_tracker(workbench: LabServer) -> None:
    pytest.importorskip("accelerate")
    said = run(workbench, "06-accelerate.ipynb")
    right = [float(one) for one in re.findall(r"epoch \d: (\d\d\.\d)% right", said)]
    assert right[-1] > 80
    assert "TensorBoard on job-" in said
    assert "2 runs: 2 succeeded" in said


def test_mpi_prepares_what_ddp_trains_on(workbench: LabServer) -> None:
    pytest.importorskip("mpi4py")
    said = run(workbench, "07-mpi-pipeline.ipynb")
    above = re.search(r"score (-?\d\.\d\d) above", said)
    assert above and float(above[1]) > 0.1
    shards = [np.load(one) for one in (workbench.notebooks / "shards").glob("*-of-4.npz")]
    x = np.concatenate([one["x"] for one in shards])
    assert len(shards) == 4 and len(x) > 250_000
    assert np.abs(x.mean(0)).max() < 0.01 and np.abs(x.std(0) - 1).max() < 0.01
