"""`gw.sweep` from a notebook: a real server, simulated slices, jobs in the one queue."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import cloudpickle
import pytest

from gpu_workbench import sweeping, training
from tests.kernels.talk import run_in_kernel
from tests.support.lab import LabServer
from tests.support.waiting import wait_for

pytest.importorskip("torch")
cloudpickle.register_pickle_by_value(sys.modules[__name__])


def distance(x: float, scale: float = 1.0) -> float:
    import gpu_workbench as gw

    gw.log(1, loss=abs(x))
    return scale * (x - 3) ** 2


@pytest.mark.usefixtures("here")
def test_every_point_of_a_grid_is_run_and_the_best_is_told() -> None:
    runs = sweeping.sweep(distance, {"x": [1.0, 4.0, 3.5], "scale": [2.0]}, at_most=2)
    most = 0

    def over() -> bool:
        nonlocal most
        now = runs.status
        most = max(most, sum(run.state in ("waiting", "starting", "running") for run in now.runs))
        return now.ended_at is not None

    wait_for(over, 120, "all runs are over")
    assert most <= 2
    assert [(one["x"], one["value"], one["state"]) for one in runs.rows] == [
        (1.0, 8.0, "succeeded"),
        (4.0, 2.0, "succeeded"),
        (3.5, 0.5, "succeeded"),
    ]
    assert runs.best is not None
    assert (runs.best.result(), runs.best.status.name) == (0.5, "distance x=3.5 scale=2.0")
    assert {one.status.sweep for one in runs.jobs} == {runs.id}
    assert "★" in runs._repr_html_()
    assert runs.id in [one.id for one in sweeping.sweeps()]


def test_a_sweep_of_a_script_goes_on_without_its_kernel_and_can_be_stopped(here: LabServer) -> None:
    (here.notebooks / "train.py").write_text(
        "import sys, time, gpu_workbench as gw\n"
        "print(sys.argv[1:])\n"
        "gw.log(1, loss=float(sys.argv[2]))\n"
        "time.sleep(600 if '--slow' in sys.argv else 0)\n"
    )
    kernel = here.start_kernel("python3", path="a.ipynb")["id"]
    code = """
import gpu_workbench as gw, os
points = [{"lr": 0.1}, {"lr": 0.01}, {"lr": 1.0, "slow": True}, {"lr": 2.0}]
print(gw.sweep("train.py", points, at_most=1).id, os.getpid())
"""
    sweep_id, pid = run_in_kernel(here, kernel, code).split()
    os.kill(int(pid), signal.SIGKILL)
    (found,) = (one for one in sweeping.sweeps() if one.id == sweep_id)
    wait_for(lambda: found.status.runs[2].state == "running", 90, "the third run runs")
    here.restart(kill=True)
    assert [run.state for run in found.status.runs[:2]] == ["succeeded"] * 2
    ended = found.stop().wait(60)
    assert [run.state for run in ended.runs] == ["succeeded", "succeeded", "stopped", "stopped"]
    assert (ended.state, ended.best, ended.runs[1].value) == ("stopped", 1, 0.01)
    assert training.job(ended.runs[0].job_id or "").logs() == "['--lr', '0.1']\n"


def objective(trial: Any) -> float:
    x = trial.suggest_float("x", -10.0, 10.0)
    return float((x - 2) ** 2)


@pytest.mark.usefixtures("here")
def test_a_study_of_optuna_has_one_trial_a_run(tmp_path: Path) -> None:
    optuna = pytest.importorskip("optuna")
    study = optuna.create_study(storage=f"sqlite:///{tmp_path}/study.db", direction="minimize")
    runs = sweeping.sweep(objective, study=study, trials=3, at_most=2)
    assert [run.state for run in runs.wait(180).runs] == ["succeeded"] * 3
    assert len(study.trials) == 3
    assert len({trial.params["x"] for trial in study.trials}) == 3, "each begins with other numbers"
    values = sorted(one["value"] for one in runs.rows)
    assert values == pytest.approx(sorted(trial.value for trial in study.trials))
    assert runs.best is not None
    assert runs.best.result() == pytest.approx(study.best_value)


def test_what_can_not_be_swept_is_said() -> None:
    optuna = pytest.importorskip("optuna")
    with pytest.raises(ValueError, match="the grid is empty"):
        sweeping.sweep(distance, {})
    with pytest.raises(ValueError, match="in the notebook's memory"):
        sweeping.sweep(objective, study=optuna.create_study())
    with pytest.raises(ValueError, match="one rank"):
        sweeping.sweep(objective, study=optuna.create_study(), ranks=2)
