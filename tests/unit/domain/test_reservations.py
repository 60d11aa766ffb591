"""Reservations: who keeps off, who may take one, and what people are told."""

from __future__ import annotations

import pytest

from gpu_workbench_server.domain.decisions import (
    Bound,
    Change,
    Cleared,
    Ended,
    Extended,
    FleetSeen,
    Ticked,
    Unbooked,
)
from gpu_workbench_server.domain.estimates import forecast
from gpu_workbench_server.domain.fleet import Gpu, Limits
from gpu_workbench_server.domain.leases import Holder
from gpu_workbench_server.domain.rules import Rules
from gpu_workbench_server.domain.units import PARTS
from gpu_workbench_server.errors import NotFound, Reserved
from tests.support.fleets import Script, gpu, mig_gpu, state_of

HOUR = 3600


def script_of(*gpus: Gpu, **more: object) -> Script:
    return Script(state_of(*gpus, **more))  # type: ignore[arg-type]


def tick(script: Script, seconds: float = 0.0) -> list[Change]:
    script.now += seconds
    return list(script.run(Ticked({})))


def bound(script: Script, *lease_ids: int) -> None:
    for lease_id in lease_ids:
        script.run(Bound(lease_id, Holder("kernel", f"k{lease_id}")))


def end(script: Script, lease_id: int) -> None:
    script.run(Ended(lease_id, "released"))
    script.run(Cleared(lease_id))


# --- until it begins ----------------------------------------------------------------------------


def test_others_may_use_the_gpus_until_it_begins_and_not_longer() -> None:
    script = script_of(gpu(0), gpu(1))
    script.book("gpu", HOUR, 2 * HOUR, count=2)
    assert script.holds(script.ask("gpu", "ben", seconds=HOUR))
    assert not script.holds(script.ask("gpu", "ben", seconds=HOUR + 1))


def test_only_as_many_gpus_are_kept_free_as_it_needs() -> None:
    script = script_of(gpu(0), gpu(1))
    script.book("gpu", HOUR, 2 * HOUR)
    assert script.holds(script.ask("gpu", "ben", seconds=5 * HOUR))
    assert not script.holds(script.ask("gpu", "ben", seconds=5 * HOUR))


def test_it_waits_where_a_lease_ends_in_time_rather_than_where_nobody_is() -> None:
    script = script_of(gpu(0), gpu(1))
    script.ask("gpu", "ben", seconds=HOUR)
    script.book("gpu", 2 * HOUR, 3 * HOUR)
    assert script.holds(script.ask("gpu", "eve", seconds=9 * HOUR)), "the other one is free for it"


def test_a_reserved_quarter_leaves_three_quarters_of_the_gpu() -> None:
    script = script_of(gpu(0))
    script.book("0.25", HOUR, 2 * HOUR)
    for _ in range(3):
        assert script.holds(script.ask("0.25", "ben", seconds=9 * HOUR))
    assert not script.holds(script.ask("0.25", "ben", seconds=9 * HOUR))
    assert script.holds(script.ask("0.25", "ben", seconds=HOUR))


def test_a_reserved_instance_leaves_the_others_of_its_gpu() -> None:
    script = script_of(mig_gpu(0, ("1g.10gb",) * 3))
    script.book("1g.10gb", HOUR, 2 * HOUR)
    assert script.holds(script.ask("1g.10gb", "ben", count=2, seconds=9 * HOUR))
    assert not script.holds(script.ask("1g.10gb", "ben", seconds=9 * HOUR))


def test_a_lease_is_not_extended_into_it_and_told_how_far_it_may() -> None:
    script = script_of(gpu(0))
    lease = script.ask("gpu", "ben", seconds=HOUR)
    booked = script.book("gpu", 2 * HOUR, 3 * HOUR)
    with pytest.raises(Reserved) as caught:
        script.run(Extended(lease, 2 * HOUR))
    assert f"reserved in 2 h (reservation {booked})" in caught.value.message
    assert caught.value.hint.startswith("Extend by at most 3600 s")
    script.run(Extended(lease, HOUR))


def test_a_lease_of_whom_it_is_for_goes_over_into_it() -> None:
    script = script_of(gpu(0))
    lease = script.ask("gpu", "ana", seconds=HOUR)
    booked = script.book("gpu", 2 * HOUR, 3 * HOUR)
    script.run(Extended(lease, 2 * HOUR))
    assert script.state.leases[lease].reservation == booked
    assert script.state.leases[lease].ends_at == script.now + 3 * HOUR


def test_a_request_that_waits_for_a_drained_gpu_does_not_get_the_reserved_one() -> None:
    script = script_of(gpu(0), gpu(1))
    script.book("gpu", HOUR, 2 * HOUR)
    script.run(FleetSeen((gpu(0), gpu(1, health="drained"))))
    assert not script.holds(script.ask("gpu", "ben", seconds=5 * HOUR))


# --- while it lasts -----------------------------------------------------------------------------


def test_whom_it_is_for_takes_it_ahead_of_the_queue_and_until_its_end() -> None:
    script = script_of(gpu(0))
    booked = script.book("gpu", HOUR, 2 * HOUR)
    waiting = script.ask("gpu", "ben", seconds=5 * HOUR)
    tick(script, HOUR)
    mine = script.ask("gpu", "ana", seconds=5 * HOUR)
    assert script.holds(mine)
    lease = script.state.leases[mine]
    assert (lease.reservation, lease.ends_at) == (booked, script.now + HOUR)
    assert not script.holds(waiting)


def test_everybody_of_the_group_may_take_its_share_and_nobody_else() -> None:
    script = script_of(gpu(0), gpu(1))
    script.book("gpu", 0, HOUR, owner="prof", group="vision", count=2)
    assert not script.holds(script.ask("gpu", "eve", "speech"))
    assert not script.holds(script.ask("gpu", "prof"))
    assert script.holds(script.ask("gpu", "ana", "vision"))
    assert script.holds(script.ask("gpu", "ben", "vision"))
    assert not script.holds(script.ask("gpu", "kim", "vision"))


def test_who_waits_for_it_is_served_when_it_begins() -> None:
    script = script_of(gpu(0))
    booked = script.book("gpu", HOUR, 3 * HOUR)
    mine = script.ask("gpu", "ana", seconds=2 * HOUR)
    told = forecast(script.state, script.now)[mine]
    assert told.expected_at == script.now + HOUR
    assert told.reason.code == "reserved"
    assert told.reason.sentence == (
        f"It starts when reservation {booked}, which is for it, begins: in 60 min."
    )
    tick(script, HOUR)
    assert script.holds(mine)


def test_what_is_given_back_inside_it_stays_reserved() -> None:
    script = script_of(gpu(0))
    script.book("gpu", 0, HOUR)
    end(script, script.ask("gpu", "ana", seconds=60))
    assert not script.holds(script.ask("gpu", "ben", seconds=HOUR))
    assert script.holds(script.ask("gpu", "ana", seconds=60))


def test_other_profiles_are_not_served_from_it() -> None:
    script = script_of(gpu(0))
    script.book("gpu", 0, HOUR)
    assert not script.holds(script.ask("0.5", "ana"))


def test_what_is_unused_goes_back_at_its_end() -> None:
    script = script_of(gpu(0), rules=Rules(unclaimed=9 * HOUR))
    script.book("gpu", 0, HOUR)
    waiting = script.ask("gpu", "ben", seconds=5 * HOUR)
    tick(script, HOUR - 1)
    assert not script.holds(waiting)
    changes = tick(script, 1)
    assert [one.kind for one in changes] == ["over", "granted"]
    assert script.holds(waiting)


def test_what_nobody_uses_is_given_up_after_a_while() -> None:
    script = script_of(gpu(0), rules=Rules(unclaimed=600))
    script.book("gpu", 60, 5 * HOUR)
    waiting = script.ask("gpu", "ben", seconds=5 * HOUR)
    assert [one.kind for one in tick(script, 659)] == []
    assert [one.kind for one in tick(script, 1)] == ["lapsed", "granted"]
    assert script.holds(waiting)


def test_what_was_used_once_is_kept_to_its_end() -> None:
    script = script_of(gpu(0), rules=Rules(unclaimed=600))
    booked = script.book("gpu", 0, 5 * HOUR)
    end(script, script.ask("gpu", "ana", seconds=60))
    tick(script, HOUR)
    assert booked in script.state.reservations


def test_a_cancelled_one_lets_the_queue_in_and_its_leases_go_on() -> None:
    script = script_of(gpu(0), gpu(1))
    booked = script.book("gpu", 0, HOUR, count=2)
    mine = script.ask("gpu", "ana")
    waiting = script.ask("gpu", "ben")
    script.run(Unbooked(booked))
    assert script.holds(mine)
    assert script.holds(waiting)
    with pytest.raises(NotFound):
        script.run(Unbooked(booked))


def test_limits_hold_inside_it() -> None:
    script = script_of(gpu(0), gpu(1), limits=Limits(users={"ana": PARTS}))
    script.book("gpu", 0, HOUR, owner="prof", group="vision", count=2)
    assert script.holds(script.ask("gpu", "ana", "vision"))
    assert not script.holds(script.ask("gpu", "ana", "vision"))


# --- who was there before it was booked -----------------------------------------------------------


def borrowing() -> tuple[Script, int, int]:
    """Speech holds two GPUs, one of them borrowed, for a long time; then one is reserved."""
    deserved = Limits(groups={"speech": PARTS, "vision": PARTS})
    script = script_of(gpu(0), gpu(1), rules=Rules(deserved=deserved, min_run=60, grace=120))
    leases = [script.ask("gpu", "eve", "speech", seconds=20 * HOUR) for _ in range(2)]
    bound(script, *leases)
    return script, leases[1], script.book("gpu", HOUR, 2 * HOUR, owner="ana")


def test_a_borrowed_lease_gives_way_to_it_in_time() -> None:
    script, borrowed, booked = borrowing()
    start = script.now + HOUR
    assert tick(script, HOUR - 121) == []
    (notice,) = tick(script, 1)
    assert notice.kind == "notice"
    assert notice.lease is not None
    assert (notice.lease.id, notice.lease.gives_way_to) == (borrowed, booked)
    assert notice.lease.ends_at == start
    assert tick(script, 60) == [], "nobody else has to go"
    tick(script, 60)
    assert script.state.leases[borrowed].end_reason == "preempted"
    script.run(Cleared(borrowed))
    assert script.holds(script.ask("gpu", "ana"))


def test_a_lease_that_gave_way_to_a_cancelled_one_is_kept() -> None:
    script, borrowed, booked = borrowing()
    until = script.state.leases[borrowed].ends_at
    tick(script, HOUR - 100)
    script.run(Unbooked(booked))
    assert [one.kind for one in tick(script)] == ["kept"]
    assert script.state.leases[borrowed].ends_at == until


def test_it_waits_for_what_is_not_borrowed() -> None:
    script = script_of(gpu(0), rules=Rules(deserved=Limits(groups={"speech": PARTS})))
    held = script.ask("gpu", "eve", "speech", seconds=5 * HOUR)
    bound(script, held)
    script.book("gpu", HOUR, 9 * HOUR)
    mine = script.ask("gpu", "ana")
    assert tick(script, HOUR) == []
    assert forecast(script.state, script.now)[mine].reason.waits_for == (held,)
    end(script, held)
    assert script.holds(mine)


# --- what people are told -------------------------------------------------------------------------


def test_a_wait_because_of_a_reservation_names_it_and_what_would_fit() -> None:
    script = script_of(gpu(0))
    booked = script.book("gpu", HOUR, 2 * HOUR)
    waiting = script.ask("gpu", "ben", seconds=5 * HOUR)
    told = forecast(script.state, script.now)[waiting]
    assert (told.reason.code, told.reason.reservation) == ("reserved", booked)
    assert told.reason.sentence == (
        f"The GPUs it could use are reserved in 60 min (reservation {booked}); "
        "a lease no longer than that could start now."
    )
    assert told.expected_at == script.now + 2 * HOUR


def test_a_wait_during_a_reservation_says_so_and_until_when() -> None:
    script = script_of(gpu(0))
    booked = script.book("gpu", 0, 2 * HOUR)
    waiting = script.ask("gpu", "ben")
    told = forecast(script.state, script.now)[waiting]
    assert told.reason.code == "reserved"
    assert told.reason.sentence == (
        f"The GPUs it could use are reserved now (reservation {booked})."
    )
    assert told.expected_at == script.now + 2 * HOUR


def test_a_wait_for_somebody_inside_a_reservation_says_that_its_end_is_waited_for() -> None:
    script = script_of(gpu(0))
    booked = script.book("gpu", 0, 2 * HOUR)
    script.ask("gpu", "ana", seconds=HOUR)
    waiting = script.ask("gpu", "ben")
    told = forecast(script.state, script.now)[waiting]
    assert (told.reason.code, told.reason.reservation) == ("reserved", booked)
    assert told.expected_at == script.now + 2 * HOUR


def test_the_next_in_the_queue_is_not_passed_for_ever_because_of_a_reservation() -> None:
    script = script_of(gpu(0), gpu(1))
    script.book("gpu", HOUR, 2 * HOUR, count=2)
    gang = script.ask("gpu", "ben", count=2, seconds=3 * HOUR)
    script.ask("gpu", "eve", seconds=HOUR)
    late = script.ask("gpu", "kim", seconds=9 * HOUR)
    tick(script, 2 * HOUR)
    for lease in [le for le in script.state.leases.values() if not le.cleared]:
        if lease.state == "ended":
            script.run(Cleared(lease.id))
    assert script.holds(gang)
    assert not script.holds(late)
