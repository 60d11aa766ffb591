"""What people are told about their start is measured against what happened, and stretched by it."""

from __future__ import annotations

import pytest

from gpu_workbench_server.domain.decisions import Cancelled, Cleared, Ended
from gpu_workbench_server.domain.estimates import forecast
from gpu_workbench_server.domain.habits import Habits
from gpu_workbench_server.domain.rules import Rules
from gpu_workbench_server.domain.waits import ENOUGH, KEPT, SLACK, Waits
from tests.support.fleets import Script, gpu, state_of

TOLD = 1000.0
"""Everybody here was told to wait so many seconds."""


def after(*waited: float) -> Waits:
    waits = Waits()
    for number, seconds in enumerate(waited):
        waits.told(number, "default", 0.0, TOLD)
        waits.over(number, seconds)
    return waits


def test_of_a_few_waits_nothing_is_concluded() -> None:
    assert after(*[TOLD] * (ENOUGH - 1)).stretch("default", 0.0, 0.9) is None


def test_who_was_told_right_is_stretched_by_nothing() -> None:
    assert after(*[TOLD] * ENOUGH).stretch("default", 0.0, 0.9) == 1


def test_an_answer_is_stretched_so_far_that_nine_in_ten_of_the_past_would_have_held() -> None:
    waits = after(*(TOLD * (1 + number / 10) for number in range(50)))
    stretch = waits.stretch("default", 0.0, 0.9)
    assert stretch is not None
    held = [TOLD * (1 + n / 10) <= stretch * (TOLD + SLACK) - SLACK + 1e-6 for n in range(50)]
    assert 45 <= sum(held) <= 47


def test_a_start_earlier_than_told_never_makes_the_late_one_earlier_than_the_expected() -> None:
    assert after(*[1.0] * ENOUGH).stretch("default", 0.0, 0.9) == 1


def test_pools_are_apart() -> None:
    assert after(*[TOLD] * ENOUGH).stretch("other", 0.0, 0.9) is None


def test_only_the_first_answer_counts() -> None:
    waits = after(*[TOLD] * (ENOUGH - 1))
    waits.told(99, "default", 0.0, TOLD)
    waits.told(99, "default", 5000.0, 9000.0)
    waits.over(99, 9000.0)
    assert waits.stretch("default", 0.0, 1.0) == (9000 + SLACK) / (TOLD + SLACK)


def test_who_still_waits_longer_than_told_counts_already() -> None:
    waits = after(*[TOLD] * ENOUGH)
    for number in range(100, 105):
        waits.told(number, "default", 0.0, TOLD)
    assert waits.stretch("default", TOLD / 2, 0.9) == 1
    assert waits.stretch("default", 4000.0, 0.9) == (4000 + SLACK) / (TOLD + SLACK)


def test_who_cancels_says_nothing() -> None:
    waits = after(*[TOLD] * (ENOUGH - 1))
    waits.told(99, "default", 0.0, TOLD)
    waits.over(99, None)
    assert waits.stretch("default", 0.0, 0.9) is None


def test_old_waits_are_forgotten() -> None:
    waits = after(*[9 * TOLD] * KEPT, *[TOLD] * KEPT)
    assert waits.stretch("default", 0.0, 1.0) == 1


def test_what_is_told_is_stretched_as_waits_have_been() -> None:
    script = Script(state_of(gpu(0)))
    script.ask("gpu", seconds=600)
    waiting = script.ask("gpu", user="ben", seconds=600)
    habits = Habits()
    habits.waits = after(*[2 * TOLD + SLACK] * ENOUGH)
    told = forecast(script.state, script.now, habits=habits)[waiting]
    assert told.expected_at == script.now + 600
    assert told.expected_by == pytest.approx(script.now + 2 * (600 + SLACK) - SLACK)


def test_without_experience_nothing_is_added_where_nobody_can_pass() -> None:
    script = Script(state_of(gpu(0)))
    script.ask("gpu", seconds=600)
    waiting = script.ask("gpu", user="ben", seconds=600)
    told = forecast(script.state, script.now)[waiting]
    assert told.expected_by == told.expected_at == script.now + 600


@pytest.mark.parametrize(
    ("cap", "late"),
    [pytest.param(300, 300, id="as long as the ageing lets anybody pass"),
     pytest.param(1e9, 1200, id="at most twice as long again")],
)  # fmt: skip
def test_without_experience_who_can_be_passed_by_smaller_ones_is_told_so(
    cap: float, late: float
) -> None:
    script = Script(state_of(gpu(0), rules=Rules(size_weight=10.0, size_cap=cap)))
    script.ask("gpu", seconds=600)
    waiting = script.ask("gpu", user="ben", seconds=600)
    told = forecast(script.state, script.now)[waiting]
    assert told.expected_at == script.now + 600
    assert told.expected_by == script.now + 600 + late


def test_behind_what_a_look_ahead_goes_through_the_work_that_goes_first_counts() -> None:
    script = Script(state_of(gpu(0), gpu(1)))
    for number in range(302):
        script.ask("gpu", user=f"u{number}", seconds=1000)
    told = forecast(script.state, script.now)
    expected = sorted(one.expected_at or 0.0 for one in told.values())
    for number, at in enumerate(expected):
        assert at - script.now == pytest.approx(1000 * (1 + number / 2), abs=1000)


def test_an_end_or_a_cancellation_moves_who_waits_on() -> None:
    script = Script(state_of(gpu(0)))
    first = script.ask("gpu", seconds=600)
    second = script.ask("gpu", user="ben", seconds=600)
    third = script.ask("gpu", user="eve", seconds=600)
    assert forecast(script.state, script.now)[third].expected_at == script.now + 1200
    script.run(Cancelled(second))
    assert forecast(script.state, script.now)[third].expected_at == script.now + 600
    script.run(Ended(first, "released"))
    script.run(Cleared(first))
    assert script.holds(third)
