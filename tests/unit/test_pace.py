"""Which rank holds the others up, from what each says of its steps."""

from __future__ import annotations

import pytest

from gpu_workbench.holders.pace import WINDOW, Figures
from gpu_workbench.holders.pace import Pace as Steps
from gpu_workbench_server.domain.pace import Pace, slow_rank, slowness


def test_ranks_that_make_steps_together_are_told_apart_by_what_they_do_before_they_wait() -> None:
    # Rank 2 works 0.18 s of which 0.16 s come before the backward pass; the others wait for it.
    ranks = {n: Pace(step=0.18, own=0.08) for n in (0, 1, 3)} | {2: Pace(step=0.18, own=0.16)}
    assert slow_rank(ranks) == (2, pytest.approx(1.8))
    assert slowness(ranks)[0] == pytest.approx(1.0)


def test_ranks_that_do_not_wait_for_each_other_are_told_apart_by_their_steps() -> None:
    assert slow_rank({0: Pace(0.1), 1: Pace(0.1), 2: Pace(0.3)}) == (2, pytest.approx(3.0))


def test_where_nobody_says_how_far_he_gets_alone_nothing_is_made_up() -> None:
    assert slow_rank({0: Pace(0.18), 1: Pace(0.18), 2: Pace(0.18)}) is None


def test_noise_of_small_steps_and_a_single_rank_are_no_skew() -> None:
    assert slow_rank({0: Pace(0.002, 0.0005), 1: Pace(0.002, 0.0015)}) is None
    assert slowness({0: Pace(1.0)}) == {}


def test_a_pace_is_that_of_the_last_steps_without_the_first_ones_and_without_outliers() -> None:
    pace, now = Steps(), 0.0
    for took in [9.0, 8.0, 7.0, *[0.1] * (WINDOW // 2), 60.0, *[0.1] * WINDOW]:
        pace.backward(now + took / 2)
        now += took
        pace.stepped(now)
    assert pace.figures(now) == (pytest.approx(0.1), pytest.approx(0.05))


def test_a_pace_is_not_known_after_a_few_steps() -> None:
    pace = Steps()
    for now in (1.0, 2.0, 3.0, 4.0):
        pace.stepped(now)
    assert pace.figures(9.0) == Figures()


def test_steps_that_are_told_now_and_then_count_each() -> None:
    pace = Steps()
    for now in range(20):
        pace.stepped(float(now), steps=10)
        pace.stepped(now + 0.5, steps=0)
    assert pace.figures(20.0).step == pytest.approx(0.1)
