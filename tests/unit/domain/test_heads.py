"""The heads of lanes, followed from change to change, are what ranking all anew would find."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from itertools import count
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpu_workbench_server.domain import planning
from gpu_workbench_server.domain.decide import decide
from gpu_workbench_server.domain.decisions import Cancelled, Change, Cleared, Ended, Event, Ticked
from gpu_workbench_server.domain.fairshare import Meter
from gpu_workbench_server.domain.fleet import Limits
from gpu_workbench_server.domain.heads import RankTuple
from gpu_workbench_server.domain.lanes import Lane, Shape, virtual_arrival
from gpu_workbench_server.domain.leases import Request
from gpu_workbench_server.domain.order import Order
from gpu_workbench_server.domain.quota import accounts
from gpu_workbench_server.domain.rules import Backfill, Rules
from gpu_workbench_server.domain.state import State
from gpu_workbench_server.domain.units import PARTS
from gpu_workbench_server.errors import WorkbenchError
from tests.support.fleets import Script, gpu, mig_gpu, state_of

USERS = [("ana", "vision"), ("ben", "vision"), ("eve", "speech"), ("kim", None), ("lea", "speech")]
ASKS = [("gpu", 1), ("gpu", 2), ("0.25", 1), ("0.5", 2), ("0.25", 3), ("1g.10gb", 1)]
Step = tuple[str, int, int]


def plain_rank(state: State, now: float, request: Request) -> RankTuple:
    """From the definition, with nothing remembered."""
    paying = accounts(state, request.user, request.group, now // 60 * 60)
    left = min(inf if one.deserved is None else one.deserved - one.held for one in paying)
    bands = [int(one.share / state.rules.band) for one in paying]
    group = bands[0] if request.group is not None else 0
    arrival = virtual_arrival(request, state.rules)
    return -request.priority, request.parts > left, group, bands[-1], arrival, request.id


class PlainContest:
    """Ranks every head anew for each question."""

    def __init__(self, state: State, order: Order, wanted: Callable[[Shape], bool]) -> None:
        self._state, self._now = state, order.minute
        self._waiting = {
            lane: [state.queue[number] for _, number in entries]
            for lane, entries in state.lanes
            if wanted(lane.shape)
        }
        self._in: set[Lane] = set(self._waiting)

    def next(self) -> tuple[Lane, Request] | None:
        if not self._in:
            return None
        best = min(self._in, key=lambda e: plain_rank(self._state, self._now, self._waiting[e][0]))
        self._in.remove(best)
        return best, self._waiting[best].pop(0)

    def go_on(self, lane: Lane) -> None:
        if self._waiting[lane]:
            self._in.add(lane)

    def served(self, request: Request) -> None:
        """It looks at everybody each time."""

    def close(self, shape: Shape) -> None:
        self._in = {lane for lane in self._in if lane.shape != shape}


def plainly(state: State, event: Event, now: float) -> tuple[Change, ...]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(planning, "Contest", PlainContest)
        return decide(state, event, now)


def event_of(script: Script, step: Step) -> Event | None:
    kind, number, _ = step
    alive = [i for i, le in script.state.leases.items() if le.state != "ended"]
    over = [i for i, le in script.state.leases.items() if le.state == "ended"]
    if kind == "end" and alive:
        return Ended(alive[number % len(alive)], "released")
    if kind == "clear" and over:
        return Cleared(over[number % len(over)])
    if kind == "cancel" and script.state.queue:
        return Cancelled(list(script.state.queue)[number % len(script.state.queue)])
    return Ticked({}) if kind == "wait" else None


def script_of(backfill: Backfill) -> Script:
    rules = Rules(
        deserved=Limits(groups={"vision": 2 * PARTS}, default_user=PARTS),
        weights={"speech": 2.0},
        half_life=400.0,
        band=0.05,
        size_weight=0.1,
        backfill=backfill,
    )
    limits = Limits(users={"ben": 2 * PARTS}, groups={"speech": 3 * PARTS})
    fleet = [gpu(0, "a"), gpu(1, "a"), gpu(2, "b"), gpu(3, "b"), mig_gpu(4)]
    return Script(state_of(*fleet, limits=limits, rules=rules))


steps = st.lists(
    st.tuples(
        st.sampled_from(["ask", "ask", "ask", "end", "clear", "clear", "cancel", "wait"]),
        st.integers(0, 60),
        st.integers(-90, 900),
    ),
    min_size=10,
    max_size=60,
)


@settings(max_examples=120, deadline=None, derandomize=True)
@given(steps=steps, backfill=st.sampled_from(["easy", "conservative", "none"]))
def test_a_decision_is_the_one_that_ranking_everybody_anew_makes(
    steps: list[Step], backfill: Backfill
) -> None:
    script = script_of(backfill)
    for step in steps:
        kind, number, seconds = step
        if kind == "ask":
            user, group = USERS[number % len(USERS)]
            what, slices = ASKS[number % len(ASKS)]
            with suppress(WorkbenchError):
                script.ask(
                    what,
                    user,
                    group,
                    count=slices,
                    seconds=1 + abs(seconds) * 7,
                    priority=number // 50,
                )
            continue
        if kind == "wait":
            script.now += seconds
        event = event_of(script, step)
        if event is None:
            continue
        made = decide(script.state, event, script.now)
        assert made == plainly(script.state, event, script.now)
        for change in made:
            script.state.put(change)


@settings(max_examples=120, deadline=None, derandomize=True)
@given(steps=steps)
def test_the_heads_are_in_the_order_of_their_ranks(steps: list[Step]) -> None:
    script = script_of("easy")
    for step in steps:
        kind, number, seconds = step
        if kind == "ask":
            user, group = USERS[number % len(USERS)]
            with suppress(WorkbenchError):
                script.ask(ASKS[number % len(ASKS)][0], user, group, priority=number // 50)
        elif kind == "wait":
            script.now += seconds
        elif event := event_of(script, step):
            script.run(event)
        state, now = script.state, script.now
        state.lanes.heads.follow(Order(state, now))
        assert state.lanes.heads.best == {
            shape: sorted(
                plain_rank(state, now, state.queue[entries[0][1]]) for entries in lanes.values()
            )
            for shape, lanes in state.lanes.shapes.items()
        }
        assert state.lanes.heads.lane_of == {
            entries[0][1]: lane for lane, entries in state.lanes if entries
        }


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    average=st.floats(0, 5000),
    held=st.integers(0, 5000),
    band=st.integers(1, 400),
    half_life=st.sampled_from([60.0, 3600.0, 604800.0]),
    at=st.integers(0, 100),
)
def test_a_meter_stays_in_its_band_as_long_as_it_says(
    average: float, held: int, band: int, half_life: float, at: int
) -> None:
    meter = Meter(average, at, held)
    now = 60.0
    here = int((meter.read(now, half_life) + held) / band)
    least = here * band - held if here else -inf
    until = meter.stays(now, half_life, least, (here + 1) * band - held)
    for minute in count(1):
        later = now + minute * max(60.0, half_life / 20)
        if later >= until or minute > 400:
            break
        assert int((meter.read(later, half_life) + held) / band) == here
    assert until >= now
