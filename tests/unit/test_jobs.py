"""Who is named when a run fails: the first cause, not its echoes."""

from __future__ import annotations

import pytest

from gpu_workbench_server.domain.jobs import (
    End,
    Job,
    Raised,
    RankEnd,
    diagnose,
    first_cause,
    refused_variables,
)
from gpu_workbench_server.services.job_files import JobStatus, RankStatus
from gpu_workbench_server.services.job_views import running_message

PEER = Raised("RuntimeError", "[gloo/tcp/pair.cc:547] Connection closed by peer [127.0.0.1]", 99.0)
STORE = Raised("DistNetworkError", "The client socket has failed to connect", 99.0)


def bug(at: float = 100.0, where: str = "train.py:12", message: str = "bad shape") -> Raised:
    return Raised("ValueError", message, at, where)


@pytest.mark.parametrize(
    ("ranks", "sentence"),
    [
        pytest.param(
            [RankEnd(0, 0), RankEnd(1, 1, 7, raised=bug())],
            "rank 1: ValueError: bad shape at train.py:12, after step 7",
            id="an exception, where it was raised",
        ),
        pytest.param(
            [RankEnd(0, 1, 7, raised=PEER), RankEnd(1, 1, 7, raised=bug(at=100.0))],
            "rank 1: ValueError: bad shape at train.py:12, after step 7",
            id="a lost peer is an echo, also where it was noticed before the error was written",
        ),
        pytest.param(
            [
                RankEnd(0, 1, 410, 50.0, 53.5, PEER),
                RankEnd(1, -9, 410, 50.0, 53.0),
            ],
            "rank 1 was killed by SIGKILL, 3 s after step 410: "
            "often the system, for lack of memory",
            id="the killed rank, not the survivor",
        ),
        pytest.param(
            [RankEnd(0, 1, raised=bug(at=100.2)), RankEnd(1, 1, raised=bug(100.1, "data.py:3"))],
            "rank 1: ValueError: bad shape at data.py:3",
            id="of two exceptions the earlier",
        ),
        pytest.param(
            [RankEnd(0, 1, raised=bug(at=100.2)), RankEnd(1, 1, raised=bug(at=100.1))],
            "every rank: ValueError: bad shape at train.py:12",
            id="one bug on all ranks is said once",
        ),
        pytest.param(
            [RankEnd(0, -6, gone_at=99.0), RankEnd(1, 1, raised=bug(at=100.0))],
            "rank 1: ValueError: bad shape at train.py:12",
            id="an abort is often a watchdog's word about a peer",
        ),
        pytest.param(
            [RankEnd(0, -6, 3, 98.0, 99.0), RankEnd(1, 1, raised=STORE)],
            "rank 0 was killed by SIGABRT, 1 s after step 3",
            id="an abort comes before a lost peer",
        ),
        pytest.param(
            [RankEnd(0, -15), RankEnd(1, -11)],
            "rank 1 was killed by SIGSEGV, before its first step",
            id="a crash before the first step; SIGTERM is what the agent sent",
        ),
        pytest.param(
            [RankEnd(0, 3, 2, 10.0, 11.0), RankEnd(1)],
            "rank 0 ended with exit code 3, 1 s after step 2",
            id="an exit code without a word",
        ),
        pytest.param(
            [RankEnd(0, 2, raised=Raised("SystemExit", "2", 1.0, "train.py:4"))],
            "rank 0 ended itself with exit code 2 at train.py:4",
            id="sys.exit",
        ),
    ],
)
def test_the_first_cause_is_named(ranks: list[RankEnd], sentence: str) -> None:
    assert diagnose(End(tuple(ranks))) == sentence


def test_a_missing_module_comes_with_the_line_that_installs_it() -> None:
    raised = Raised("ModuleNotFoundError", "No module named 'timm.x'", 1.0, "a.py:1", "timm.x")
    told = diagnose(End((RankEnd(0, 1, raised=raised),), python="/env/bin/python"))
    assert "'timm.x' is not installed" in told
    assert told.endswith("/env/bin/python -m pip install timm")


def test_missing_torch_is_told_before_anything_else() -> None:
    told = diagnose(End(missing_torch=True, python="/env/bin/python"))
    assert told.endswith("/env/bin/python -m pip install torch")


def test_restarts_that_did_not_help_are_counted() -> None:
    end = End((RankEnd(0, -9),), restarts=2)
    assert "(after 2 restarts)" in diagnose(end)


def test_without_any_rank_the_agents_own_words_are_told() -> None:
    assert diagnose(End(agent_error="OSError: no space")) == (
        "the ranks could not be started: OSError: no space"
    )
    assert diagnose(End(agent_log="Traceback\nKeyError: 'x'")).endswith("KeyError: 'x'")
    assert first_cause([RankEnd(0, 0), RankEnd(1)]) is None


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
            JobStatus(state="running", ranks=ranks(99.0, 99.0), not_a_number=("loss", 7)),
            "running on 2 ranks; loss is not a number since step 7",
        ),
    ],
)
def test_a_run_says_what_somebody_should_look_at(status: JobStatus, message: str) -> None:
    assert running_message(JOB, status, now=100.0) == message
