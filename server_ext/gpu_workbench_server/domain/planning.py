"""Who is served now. One loop, run after each event, in the order of `order`.

A request that is over a limit of its own holds nobody up; one that finds no room is given a promise
(see `backfill`), and what comes after it keeps out of its way.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from math import inf

from .backfill import Promise, barred, promise
from .decisions import Change
from .lanes import SetKey, Shape
from .leases import Lease, Request, Slice
from .order import Contest, Order
from .placement import place
from .quota import binding
from .state import State
from .transitions import moved


def grants(state: State, now: float, pools: Collection[str] | None = None) -> Iterator[Change]:
    """Grant what can be granted, in order, putting each into `state` as it goes.

    `pools` where only they have changed: pools share no GPU, so each is a round of its own.
    """
    open_sets: dict[str, set[SetKey]] = {}
    for pool in state.pools if pools is None else pools:
        state.settled.pop(pool, None)
    for shape in state.lanes.shapes:
        pool = shape.gpus[0]
        if (pools is None or pool in pools) and _fits(state, shape):
            open_sets.setdefault(pool, set()).add(shape.gpus)
    for pool, sets in sorted(open_sets.items()):
        one = Round(state, now, sets)
        yield from one.grants()
        state.settled[pool] = state.marks[pool], sets, one.promises


def grants_to(state: State, newcomer: Request, now: float) -> Iterator[Change]:
    """The same after somebody joined the queue: where nothing else has changed since the last
    round, nobody else can be served, so that only the newcomer is looked at."""
    shape = state.shape(newcomer)
    if binding(state, newcomer):
        return
    mark, sets, made = state.settled.get(newcomer.pool, (None, set(), ()))
    if not _fits(state, shape):
        _await(state, shape, made)
        return
    order = Order(state, now)
    if (
        mark != state.marks[newcomer.pool]
        or shape.gpus not in sets
        or any(order.rank(newcomer) < order.rank(state.queue[one.request_id]) for one in made)
    ):
        yield from grants(state, now, (newcomer.pool,))
        return
    slices = place_beside(state, newcomer, made, now)
    if slices is not None:
        change = granted(newcomer, slices, now)
        state.put(change)
        state.settled[newcomer.pool] = state.marks[newcomer.pool], sets, made
        yield change
    else:
        _await(state, shape, made)


def _await(state: State, shape: Shape, made: Sequence[Promise]) -> None:
    """It waits: where it is the first to wait for these GPUs, it is owed a promise next time."""
    rivals = any(state.meet(shape.gpus, one.key) for one in made)
    if not rivals or state.rules.backfill == "conservative":
        state.settled.pop(shape.gpus[0], None)


def place_beside(
    state: State, request: Request, made: Sequence[Promise], now: float
) -> tuple[Slice, ...] | None:
    """Slices that keep out of the way of what was promised, or None."""
    shut = barred(made, now + request.seconds)
    room = state.slots(state.key(request)).room()
    if shut and len(room) < len(shut) + request.count:  # mostly nothing is left: seen at once
        left = sum(n for gpu, n in room.items() if gpu not in shut)
        if left < request.count:
            return None
    return place(state, request, shut)


def promises(state: State, now: float) -> list[Promise]:
    """Who is promised what, where nothing more can be granted."""
    one = Round(state, now, {shape.gpus for shape in state.lanes.shapes})
    with state.trial():
        for _ in one.grants():
            pass
    return one.promises


def _fits(state: State, shape: Shape) -> bool:
    return state.slots(shape.gpus).fits(shape.slices, shape.same_node)


class Round:
    """One look at the queue. `sets` are the sets of GPUs whose requests take part."""

    def __init__(self, state: State, now: float, sets: set[tuple[str, str, float]]) -> None:
        self._state, self._now, self._sets = state, now, sets
        self.promises: list[Promise] = []

    def grants(self) -> Iterator[Change]:
        state, order = self._state, Order(self._state, self._now)
        contest = Contest(state, order, self._takes_part)
        shortest: dict[Shape, float] = {}  # what found no room; anything longer won't either
        full: dict[Shape, bool] = {}  # until something is granted
        everybody = state.rules.backfill == "conservative"
        tries = 0
        while tries < state.rules.depth and (head := contest.next()):
            lane, request = head
            if binding(state, request):
                continue  # whoever is behind it in its lane is over the same limit
            if lane.shape not in full:
                full[lane.shape] = not _fits(state, lane.shape)
            if full[lane.shape]:
                if self._protect(request):
                    contest.go_on(lane)
                elif not everybody:
                    contest.close(lane.shape)
                continue
            tries += 1
            if request.seconds >= shortest.get(lane.shape, inf):
                contest.go_on(lane)
                continue
            slices = place_beside(state, request, self.promises, self._now)
            contest.go_on(lane)
            if slices is not None:
                change = granted(request, slices, self._now)
                state.put(change)
                contest.served(request)
                full.clear()
                yield change
            else:
                shortest[lane.shape] = request.seconds
                self._protect(request)
                if not everybody and state.lanes.shortest(lane.shape) >= request.seconds:
                    contest.close(lane.shape)

    def _takes_part(self, shape: Shape) -> bool:
        return any(self._state.meet(shape.gpus, key) for key in self._sets)

    def _protect(self, request: Request) -> bool:
        """Promise it what it waits for; whether the next of its lane might get a promise too."""
        made = promise(self._state, request, self.promises, self._now)
        if made is not None:
            self.promises.append(made)
        everybody = self._state.rules.backfill == "conservative"
        return everybody and made is not None and len(self.promises) < self._state.rules.depth


def granted(request: Request, slices: tuple[Slice, ...], now: float) -> Change:
    lease = Lease(
        id=request.id,
        user=request.user,
        group=request.group,
        pool=request.pool,
        profile=request.profile,
        slices=slices,
        parts=sum(one.parts for one in slices),
        purpose=request.purpose,
        name=request.name,
        granted_at=now,
        ends_at=now + request.seconds,
    )
    waited = now - request.created_at
    return Change("granted", moved(request, "granted"), lease, why=f"waited {waited:.1f} s")
