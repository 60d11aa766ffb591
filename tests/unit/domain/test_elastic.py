"""Whether a job goes on after it lost a rank, and with whom."""

from __future__ import annotations

import pytest

from gpu_workbench_server.domain.diagnosis import Cause, Raised, RankEnd
from gpu_workbench_server.domain.elastic import MOST_TIMES, GoOn, after_loss

PEER = Raised("RuntimeError", "Connection reset by peer", 2.0)
KILLED = Cause("killed", "rank 1 was killed by SIGKILL", "", 1)
RANKS = (RankEnd(0, 1, raised=PEER), RankEnd(1, -9), RankEnd(2, -15))


def test_a_job_that_shall_fail_fails() -> None:
    assert after_loss("fail", KILLED, RANKS, 0) is None


def test_it_is_placed_anew_as_a_whole() -> None:
    assert after_loss("replace", KILLED, RANKS, 0) == GoOn(None)


def test_it_goes_on_with_those_that_were_not_lost_themselves() -> None:
    assert after_loss("fewer", KILLED, RANKS, 0) == GoOn((0, 2))
    two = (RankEnd(0, -9), RankEnd(1, -9), RankEnd(2))
    assert after_loss("fewer", KILLED, two, 0) == GoOn((2,))
    frozen = Cause("frozen", "rank 0 was stopped", "", 0)
    assert after_loss("fewer", frozen, (RankEnd(0, -9, stuck="frozen"), RankEnd(1)), 0) == GoOn(
        (1,)
    )


def test_where_nobody_is_left_it_is_over() -> None:
    assert after_loss("fewer", KILLED, (RankEnd(0, -9), RankEnd(1, -9)), 0) is None


@pytest.mark.parametrize("code", ["exception", "hung", "missing_module", "device_memory"])
def test_what_would_happen_again_is_no_loss(code: str) -> None:
    assert after_loss("replace", Cause(code, "", "", 1), RANKS, 0) is None


def test_it_does_not_go_on_for_ever() -> None:
    assert after_loss("replace", KILLED, RANKS, MOST_TIMES - 1) is not None
    assert after_loss("replace", KILLED, RANKS, MOST_TIMES) is None
