"""A cluster's next step, as a table: what is known in, what to do out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gpu_workbench import protocol as wire
from gpu_workbench_server.domain.clusters import (
    OVER,
    ClusterRecord,
    Facts,
    next_step,
    seated,
    stopped,
)
from gpu_workbench_server.domain.seats import Seat, SeatPlan
from gpu_workbench_server.domain.transitions import CLUSTER
from gpu_workbench_server.errors import BadRequest, WrongState
from gpu_workbench_server.services.cluster_orders import check

NOW = 1000.0
GRACE = 10.0


def record(state: str = "running", **changes: Any) -> ClusterRecord:
    known = ClusterRecord(
        id="cluster-1",
        name="flights",
        owner="ada",
        per_worker="mig-1g.10gb",
        workers_wanted=2,
        threads_per_worker=1,
        host_memory_bytes=None,
        fleet_units=2.0,
        python="/usr/bin/python3",
        idle_seconds=1800,
        created_at=NOW - 100,
        state=state,  # type: ignore[arg-type]
        message="as before",
        seats=(Seat(7, leased=state != "waiting"), Seat(8)),
    )
    return replace(known, **changes)


def facts(**changes: Any) -> Facts:
    return replace(Facts(process="running", told="running"), **changes)


UNBORN = Facts()
CRASHED = facts(process="gone", told="running", last_words="Bus error")


@pytest.mark.parametrize(
    ("known", "seen", "state", "act", "message"),
    [
        pytest.param(
            record("waiting"),
            UNBORN,
            *("waiting", "nothing", "as before"),
            id="nothing is granted: it waits",
        ),
        pytest.param(
            record("waiting", seats=(Seat(7), Seat(8, leased=True))),
            UNBORN,
            *("starting", "start", "starting the scheduler"),
            id="one slice is granted: it starts",
        ),
        pytest.param(
            record("waiting", seats=(), workers_wanted=0),
            UNBORN,
            *("starting", "start", "starting the scheduler"),
            id="it wants no slice for now: its scheduler needs none",
        ),
        pytest.param(
            record("starting"),
            UNBORN,
            *("starting", "start", "as before"),
            id="the server was killed before the process was started: start it",
        ),
        pytest.param(
            record("starting"),
            facts(told=None),
            *("starting", "watch", "starting"),
            id="the process is there and has said nothing yet",
        ),
        pytest.param(
            record("starting"),
            facts(told="starting", told_message="starting workers, 1 of 2 are up"),
            *("starting", "watch", "starting workers, 1 of 2 are up"),
            id="it says how far it is",
        ),
        pytest.param(
            record("starting"),
            facts(),
            *("running", "watch", ""),
            id="it says that it runs",
        ),
        pytest.param(
            record(),
            facts(told="starting", told_message="starting workers, 1 of 2 are up"),
            *("running", "watch", "starting workers, 1 of 2 are up"),
            id="a lost worker does not make a running cluster a starting one",
        ),
        pytest.param(
            record(),
            facts(told="stopping", told_message="ended after 30 min without a client or a task"),
            *("stopping", "stop", "ended after 30 min without a client or a task"),
            id="it idles out",
        ),
        pytest.param(
            record(),
            facts(told="ended", told_message="ended after 30 min without a client or a task"),
            *("stopping", "stop", "ended after 30 min without a client or a task"),
            id="it says that it is over, and its process is about to go",
        ),
        pytest.param(
            record(),
            facts(
                process="gone",
                told="ended",
                told_message="ended after 30 min without a client or a task",
            ),
            *("ended", "finish", "ended after 30 min without a client or a task"),
            id="it has idled out while the server was away",
        ),
        pytest.param(
            record(),
            CRASHED,
            *("failed", "finish", "Its process was killed or crashed.\nBus error"),
            id="its process is gone without a word",
        ),
        pytest.param(
            record(),
            facts(process="gone", told="failed", told_message="its workers don't start: no space"),
            *("failed", "finish", "its workers don't start: no space"),
            id="it could not go on and said why",
        ),
        pytest.param(
            record(),
            replace(CRASHED, over="expired"),
            *("ended", "finish", "its time was up"),
            id="its lease ended and somebody ended its process",
        ),
        pytest.param(
            record(),
            replace(CRASHED, over="lost"),
            *("failed", "finish", "Its process was killed or crashed.\nBus error"),
            id="its lease was lost because its process was",
        ),
        pytest.param(
            record("stopping", stopping_since=NOW - 1),
            facts(),
            *("stopping", "stop", "as before"),
            id="stopping: asked again, which costs nothing",
        ),
        pytest.param(
            record("stopping", stopping_since=NOW - GRACE),
            facts(),
            *("stopping", "kill", "as before"),
            id="it has not ended within its grace",
        ),
        pytest.param(
            record("stopping", stopping_since=NOW - 1),
            facts(process="gone"),
            *("ended", "finish", "as before"),
            id="it has ended, with the reason it was given",
        ),
        pytest.param(
            record("stopping", stopping_since=NOW - 1, seats=(Seat(7),)),
            UNBORN,
            *("ended", "finish", "as before"),
            id="stopped while it waited: there is no process",
        ),
    ],
)
def test_next_step(known: ClusterRecord, seen: Facts, state: str, act: str, message: str) -> None:
    step = next_step(known, seen, NOW, GRACE)
    assert (step.record.state, step.act, step.record.message) == (state, act, message)


ALL_FACTS = [
    Facts(process, told, "told", "words", over)  # type: ignore[arg-type]
    for over in (None, "released", "expired", "reclaimed", "preempted", "lost")
    for process in ("none", "running", "gone")
    for told in (None, "starting", "running", "stopping", "ended", "failed")
]


@pytest.mark.parametrize("state", [state for state in CLUSTER if state not in OVER])
def test_whatever_is_seen_has_a_next_step_that_may_follow(state: str) -> None:
    for seen in ALL_FACTS:
        step = next_step(record(state), seen, NOW, GRACE)
        assert step.record.state == state or step.record.state in CLUSTER[state]
        assert (step.act == "finish") == (step.record.state in OVER), seen


@pytest.mark.parametrize(
    ("plan", "state", "message"),
    [
        (SeatPlan((Seat(8),), 1, over=("expired",)), "running", "as before"),
        (SeatPlan((), 0), "running", "as before"),
        (SeatPlan((), 0, over=("expired",)), "stopping", "its time was up"),
        (SeatPlan((), 0, over=("preempted",)), "stopping", "went to somebody with a higher claim"),
        (SeatPlan((), 0, refused="more than your limit"), "stopping", "more than your limit"),
    ],
    ids=["others stay", "scaled to none", "the last ends", "the last is taken", "denied"],
)
def test_a_cluster_ends_with_its_last_lease(plan: SeatPlan, state: str, message: str) -> None:
    after = seated(record(), plan, NOW)
    assert after.state == state and message in after.message
    assert (after.seats, after.workers_wanted) == (plan.seats, plan.wanted)


def test_workers_that_left_with_their_lease_are_told_of_until_others_do() -> None:
    once = seated(record(), SeatPlan((Seat(8),), 1, over=("expired",)), NOW)
    assert (once.notice, once.notice_at) == ("A worker left: its time was up.", NOW)
    kept = seated(once, SeatPlan((Seat(8),), 1), NOW + 5)
    assert (kept.notice, kept.notice_at) == (once.notice, NOW)
    more = seated(kept, SeatPlan((), 0, over=("lost", "preempted")), NOW + 9)
    assert more.notice.startswith("2 workers left, the last: its slice went to somebody")


def test_stopping_keeps_its_first_reason() -> None:
    once = stopped(record(), "stopped", NOW)
    assert stopped(once, "another reason", NOW + 1) == once


@pytest.mark.parametrize("state", sorted(OVER))
def test_what_is_over_can_not_be_stopped(state: str) -> None:
    with pytest.raises(WrongState):
        stopped(record(state), "stopped", NOW)


@pytest.mark.parametrize(
    "wrong",
    [
        {"workers": -1},
        {"adapt": wire.Adapt(minimum=-1, maximum=2)},
        {"adapt": wire.Adapt(minimum=3, maximum=2)},
        {"adapt": wire.Adapt(minimum=0, maximum=0)},
        {"workers": 10_000},
        {"threads_per_worker": 0},
        {"host_memory_bytes": 1000},
        {"idle_seconds": -1},
        {"name": "  "},
        {"name": "a\nb"},
        {"name": "x" * 101},
        {"python": "python3"},
        {"python": "/no/such/python"},
        {"python": "/etc"},
        {"cwd": "notebooks"},
        {"cwd": "/no/such/place"},
    ],
    ids=lambda one: f"{next(iter(one.items()))}"[:40],
)
def test_an_order_that_makes_no_cluster_is_refused(wrong: dict[str, Any]) -> None:
    right: dict[str, Any] = {"workers": 2, "per_worker": "1g.10gb"}
    check(wire.NewCluster(**right))
    with pytest.raises(BadRequest) as error:
        check(wire.NewCluster(**(right | wrong)))
    assert error.value.message and error.value.hint
