"""The queue: who is served, who waits, and what the waiting are told."""

from __future__ import annotations

import pytest

from gpu_workbench_server.domain.decisions import (
    Bound,
    Cancelled,
    Cleared,
    Ended,
    Extended,
    FleetSeen,
    Ticked,
)
from gpu_workbench_server.domain.estimates import forecast
from gpu_workbench_server.domain.fleet import Limits, Pool
from gpu_workbench_server.domain.leases import Holder
from gpu_workbench_server.domain.reasons import CODES
from gpu_workbench_server.domain.units import PARTS
from gpu_workbench_server.errors import NotFound, TooLong, WrongState
from tests.support.fleets import Script, gpu, mig_gpu, state_of

LONG = 3 * 3600
"""Longer than a lease that nobody declared otherwise: it does not fit in before the end of one."""


def end(script: Script, lease_id: int) -> None:
    """A lease ends and its slices are found empty."""
    script.run(Ended(lease_id, "released"))
    script.run(Cleared(lease_id))


def test_what_is_free_is_granted_at_once() -> None:
    script = Script(state_of(gpu(0)))
    assert script.holds(script.ask("0.5"))


def test_what_is_not_free_waits_and_is_granted_when_the_first_ends() -> None:
    script = Script(state_of(gpu(0)))
    first, second = script.ask("gpu"), script.ask("gpu", user="ben")
    assert not script.holds(second)
    end(script, first)
    assert script.holds(second)


def test_slices_of_an_ended_lease_are_free_only_when_cleared() -> None:
    script = Script(state_of(gpu(0)))
    first, second = script.ask("gpu"), script.ask("gpu")
    script.run(Ended(first, "released"))
    assert not script.holds(second)
    assert forecast(script.state, script.now)[second].reason.code == "clearing"
    script.run(Cleared(first))
    assert script.holds(second)


def test_first_come_is_first_served() -> None:
    script = Script(state_of(gpu(0)))
    first = script.ask("0.5")
    big = script.ask("gpu", user="ben")
    small = script.ask("0.25", user="eve", seconds=LONG)
    assert not script.holds(small), "it would delay the whole GPU that asked before"
    end(script, first)
    assert script.holds(big)
    assert not script.holds(small)


def test_a_later_request_may_pass_where_the_earlier_one_has_no_use_for_the_gpu() -> None:
    script = Script(state_of(gpu(0), mig_gpu(1)))
    script.ask("gpu")
    waiting = script.ask("gpu", user="ben")
    assert not script.holds(waiting)
    assert script.holds(script.ask("1g.10gb", user="eve"))


def test_a_gang_is_granted_whole_or_not_at_all() -> None:
    script = Script(state_of(gpu(0), gpu(1)))
    one = script.ask("gpu")
    gang = script.ask("gpu", user="ben", count=2)
    assert not script.holds(gang)
    assert len(script.state.leases) == 1
    end(script, one)
    assert len(script.state.leases[gang].slices) == 2


def test_a_gang_on_one_node_does_not_straddle() -> None:
    script = Script(state_of(gpu(0, "a"), gpu(0, "b"), gpu(1, "b")))
    gang = script.ask("gpu", count=2, same_node=True)
    assert {s.gpu for s in script.state.leases[gang].slices} == {"GPU-b-0", "GPU-b-1"}


def test_fractions_go_to_the_fullest_gpu_that_has_room() -> None:
    script = Script(state_of(gpu(0), gpu(1)))
    first, second = script.ask("0.25"), script.ask("0.25")
    gpus = {script.state.leases[i].slices[0].gpu for i in (first, second)}
    assert len(gpus) == 1


def test_a_request_over_its_users_limit_waits_and_delays_nobody() -> None:
    script = Script(state_of(gpu(0), limits=Limits(default_user=PARTS // 2)))
    held = script.ask("0.5")
    over = script.ask("0.25")
    other = script.ask("0.5", user="ben")
    assert script.holds(other)
    told = forecast(script.state, script.now)[over]
    assert told.reason.code == "user_limit"
    assert "You hold 0.5 GPU of your limit of 0.5" in told.reason.sentence
    assert told.reason.waits_for == (held,)


def test_a_group_shares_its_limit() -> None:
    script = Script(state_of(gpu(0), limits=Limits(groups={"vision": PARTS // 2})))
    script.ask("0.5", group="vision")
    waiting = script.ask("0.25", user="ben", group="vision")
    assert forecast(script.state, script.now)[waiting].reason.code == "group_limit"


def test_a_wait_names_the_lease_whose_end_lets_it_start_and_when() -> None:
    script = Script(state_of(gpu(0)))
    first = script.ask("gpu", seconds=600)
    second = script.ask("gpu", user="ben", seconds=600)
    third = script.ask("gpu", user="eve")
    told = forecast(script.state, script.now)
    assert told[second].position == 1
    assert told[second].expected_at == script.now + 600
    assert told[second].reason.waits_for == (first,)
    assert told[third].position == 2
    assert told[third].expected_at == script.now + 1200
    assert told[third].reason.code == "behind_others"


def test_a_wait_behind_somebody_who_needs_more_says_so() -> None:
    script = Script(state_of(gpu(0)))
    script.ask("0.5")
    script.ask("gpu", user="ben")
    small = script.ask("0.25", user="eve", seconds=LONG)
    told = forecast(script.state, script.now)[small]
    assert told.reason.code == "would_delay"
    assert "in 120 min; a lease no longer than that could start now" in told.reason.sentence


def test_where_all_its_gpus_are_drained_a_request_says_that_an_admin_is_needed() -> None:
    script = Script(state_of(gpu(0)))
    script.ask("gpu")
    waiting = script.ask("gpu", user="ben")
    script.run(FleetSeen((gpu(0, health="drained"),)))
    assert forecast(script.state, script.now)[waiting].reason.code == "gpus_unavailable"


def test_forecasting_changes_nothing() -> None:
    script = Script(state_of(gpu(0)))
    script.ask("gpu")
    script.ask("gpu", user="ben")
    before = (dict(script.state.queue), dict(script.state.leases), dict(script.state.user_parts))
    forecast(script.state, script.now)
    after = (dict(script.state.queue), dict(script.state.leases), dict(script.state.user_parts))
    assert {**after[2]} == {**before[2]} or {k: v for k, v in after[2].items() if v} == before[2]
    assert after[:2] == before[:2]


def test_each_reason_that_is_given_is_on_the_list() -> None:
    assert {"user_limit", "group_limit", "waits_for_slices", "behind_others"} <= set(CODES)


def test_a_lease_ends_when_its_time_is_over_and_the_ledger_has_it_once() -> None:
    script = Script(state_of(gpu(0)))
    lease = script.ask("0.5", seconds=60)
    script.run(Bound(lease, Holder("kernel", "k1")))
    script.now += 60
    script.run(Ticked({}))
    script.run(Ticked({}))
    assert script.state.leases[lease].end_reason == "expired"
    assert [c.ledger.held_gpu_seconds for c in script.ledger if c.ledger] == [30.0]


def test_a_lease_that_nobody_takes_is_reclaimed() -> None:
    script = Script(state_of(gpu(0), pool=Pool(claim_seconds=30)))
    lease = script.ask("gpu")
    script.now += 29
    script.run(Ticked({}))
    assert script.holds(lease)
    script.now += 1
    script.run(Ticked({}))
    assert script.state.leases[lease].end_reason == "reclaimed"


def test_a_lease_whose_heartbeat_stops_is_lost() -> None:
    script = Script(state_of(gpu(0)))
    lease = script.ask("gpu")
    script.run(Bound(lease, Holder("kernel", "k1")))
    script.run(Ticked({lease: script.now}))
    assert script.state.leases[lease].end_reason == "lost"


def test_a_lease_on_a_gpu_that_is_lost_ends() -> None:
    script = Script(state_of(gpu(0), gpu(1)))
    first = script.ask("gpu")
    on = script.state.leases[first].slices[0].gpu
    script.run(FleetSeen(tuple(g for g in script.state.gpus.values() if g.uuid != on)))
    assert script.state.leases[first].end_reason == "lost"


def test_a_taken_lease_is_not_given_to_another_holder() -> None:
    script = Script(state_of(gpu(0)))
    lease = script.ask("gpu")
    script.run(Bound(lease, Holder("kernel", "k1", "a.ipynb")))
    script.run(Bound(lease, Holder("kernel", "k1", "a.ipynb", pid=7)))
    with pytest.raises(WrongState, match=r"already taken by a\.ipynb"):
        script.run(Bound(lease, Holder("kernel", "k2")))


def test_extending_is_bounded_by_the_pools_maximum() -> None:
    script = Script(state_of(gpu(0), pool=Pool(default_seconds=3600, max_seconds=7200)))
    lease = script.ask("gpu")
    script.run(Extended(lease, 3600))
    with pytest.raises(TooLong):
        script.run(Extended(lease, 1))
    assert script.state.leases[lease].ends_at == script.now + 7200


def test_a_cancelled_request_is_gone_and_lets_the_next_one_through() -> None:
    script = Script(state_of(gpu(0)))
    script.ask("0.5")
    big = script.ask("gpu", user="ben")
    small = script.ask("0.25", user="eve", seconds=LONG)
    script.run(Cancelled(big))
    assert script.holds(small)
    with pytest.raises(NotFound):
        script.run(Cancelled(big))


def test_what_is_over_can_not_end_again() -> None:
    script = Script(state_of(gpu(0)))
    lease = script.ask("gpu")
    script.run(Ended(lease, "released"))
    with pytest.raises(WrongState):
        script.run(Ended(lease, "released"))
