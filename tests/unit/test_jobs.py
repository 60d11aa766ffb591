"""What a job may bring, and what it says while it runs."""

from __future__ import annotations

import pytest

from gpu_workbench_server.domain.jobs import Job, refused_variables
from gpu_workbench_server.services.job_files import JobStatus, RankStatus
from gpu_workbench_server.services.job_views import running_message


def test_a_job_may_not_set_what_places_its_ranks_or_steers_the_loader() -> None:
    env = {"LD_PRELOAD": "x", "RANK": "1", "PET_NNODES": "2", "PYTHONPATH": "/", "WANDB_MODE": "x"}
    assert refused_variables(env) == ["LD_PRELOAD", "PET_NNODES", "PYTHONPATH", "RANK"]
    assert refused_variables({"EPOCHS": "3", "A=B": ""}) == ["A=B"]


# --- while it runs ------------------------------------------------------------------------------

JOB = Job("job-1", "ana", (), "train", 2, "0.25", ("python", "a.py"), "python", 1.0, 7, "running")


def ranks(*beats: float, step: int = 9) -> list[RankStatus]:
    return [
        RankStatus(rank=number, state="running", pid=1, step=step, beat_at=beat)
        for number, beat in enumerate(beats)
    ]


def standing(number: int, stands: str) -> RankStatus:
    return RankStatus(rank=number, state="running", pid=1, step=9, beat_at=98.0, stands=stands)


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (JobStatus(state="running", ranks=ranks(99.0, 98.0)), "running on 2 ranks"),
        (
            JobStatus(state="running", ranks=[*ranks(99.0), RankStatus(rank=1)]),
            "1 of 2 ranks up",
        ),
        (
            JobStatus(state="running", ranks=ranks(99.0, 10.0), attempt=1),
            "running on 2 ranks; restarted once",
        ),
        (
            JobStatus(state="running", ranks=ranks(54.9, 10.0)),
            "running on 2 ranks; no step for 40 s, since step 9",
        ),
        (
            JobStatus(state="running", ranks=[*ranks(99.0), standing(1, "stopped by a signal")]),
            "running on 2 ranks; rank 1 stopped by a signal",
        ),
        (
            JobStatus(state="running", ranks=ranks(99.0, 99.0), not_a_number=("loss", 7)),
            "running on 2 ranks; loss is not a number since step 7",
        ),
    ],
)
def test_a_run_says_what_somebody_should_look_at(status: JobStatus, message: str) -> None:
    assert running_message(JOB, status, now=100.0) == message
