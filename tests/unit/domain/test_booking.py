"""What may be booked ahead: each refusal says what binds and what would do."""

from __future__ import annotations

import pytest

from gpu_workbench_server.domain.fleet import Limits
from gpu_workbench_server.domain.units import PARTS
from gpu_workbench_server.errors import (
    BadAsk,
    NeverFits,
    NotFound,
    OverLimit,
    Reserved,
    TooLong,
    UnknownProfile,
)
from tests.support.fleets import Script, gpu, mig_gpu, state_of

HOUR = 3600


def test_more_than_the_pool_has_is_denied_at_once_with_the_largest_possible() -> None:
    with pytest.raises(NeverFits) as caught:
        Script(state_of(gpu(0), gpu(1))).book("gpu", 0, HOUR, count=3)
    assert "could give 2" in caught.value.message
    assert "at most 2" in caught.value.hint


def test_what_collides_is_denied_with_what_is_left_and_when_all_would_be_free() -> None:
    script = Script(state_of(gpu(0), gpu(1), gpu(2)))
    first = script.book("gpu", HOUR, 3 * HOUR, count=2)
    with pytest.raises(Reserved) as caught:
        script.book("gpu", 2 * HOUR, 4 * HOUR, owner="ben", count=2)
    assert f"Reservation {first} has too much" in caught.value.message
    assert "At most 1 can be booked then. All 2 are free in 3 h." in caught.value.hint
    assert script.book("gpu", 2 * HOUR, 4 * HOUR, owner="ben", count=1)
    assert script.book("gpu", 3 * HOUR, 4 * HOUR, owner="eve", count=2)


def test_a_running_lease_is_no_reason_to_refuse_a_booking() -> None:
    script = Script(state_of(gpu(0)))
    script.ask("gpu", "ben", seconds=9 * HOUR)
    assert script.book("gpu", HOUR, 2 * HOUR)


def test_fractions_of_one_gpu_are_booked_beside_each_other_and_not_beside_the_whole() -> None:
    script = Script(state_of(gpu(0), gpu(1)))
    for _ in range(4):
        script.book("0.25", HOUR, 2 * HOUR)
    script.book("gpu", HOUR, 2 * HOUR)
    with pytest.raises(Reserved, match="too much of pool default"):
        script.book("0.25", HOUR, 2 * HOUR)


def test_mig_instances_are_booked_one_by_one() -> None:
    script = Script(state_of(mig_gpu(0, ("1g.10gb",) * 3)))
    script.book("1g.10gb", HOUR, 2 * HOUR, count=2)
    with pytest.raises(Reserved, match="too much") as caught:
        script.book("1g.10gb", HOUR, 2 * HOUR, count=2)
    assert "At most 1" in caught.value.hint


def test_slices_on_one_node_need_a_node_that_has_them() -> None:
    script = Script(state_of(gpu(0, "a"), gpu(0, "b"), gpu(1, "b")))
    with pytest.raises(NeverFits):
        script.book("gpu", 0, HOUR, count=3, same_node=True)
    script.book("gpu", HOUR, 2 * HOUR, count=2, same_node=True)
    with pytest.raises(Reserved):
        script.book("gpu", HOUR, 2 * HOUR, count=2, same_node=True)


@pytest.mark.parametrize(
    ("start", "stop", "error", "says"),
    [
        (-2 * HOUR, HOUR, BadAsk, "2 h in the past"),
        (2 * HOUR, HOUR, BadAsk, "before the start"),
        (HOUR, HOUR, BadAsk, "before the start"),
        (HOUR, HOUR + 10, BadAsk, "10 s is too short"),
        (0, 1e9, TooLong, "longer than a reservation may be"),
        (1e9, 1e9 + HOUR, TooLong, "too far ahead"),
    ],
)
def test_times_that_make_no_sense_are_refused(
    start: float, stop: float, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        Script(state_of(gpu(0))).book("gpu", start, stop)


def test_unknown_profiles_pools_and_counts_are_refused() -> None:
    script = Script(state_of(gpu(0)))
    with pytest.raises(UnknownProfile):
        script.book("1g.10gb", 0, HOUR)
    with pytest.raises(NotFound, match="no pool b200"):
        script.book("gpu", 0, HOUR, pool="b200")
    with pytest.raises(BadAsk, match="A count of -1"):
        script.book("gpu", 0, HOUR, count=-1)
    with pytest.raises(BadAsk, match="for a user or for a group"):
        script.book("gpu", 0, HOUR, user="ben", group="vision")


def test_nobody_books_more_than_they_may_ever_hold() -> None:
    script = Script(state_of(gpu(0), gpu(1), limits=Limits(groups={"vision": PARTS})))
    with pytest.raises(OverLimit):
        script.book("gpu", 0, HOUR, count=2, group="vision")
