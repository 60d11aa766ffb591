"""Who is served now. One loop, run after each event, in the order of `order`.

A request that is over a limit of its own holds nobody up; one that finds no room is given a promise
(see `backfill`), and what comes after it keeps out of its way.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from math import inf

from .backfill import Promise, barred, promise
from .claims import claims_inside
from .decisions import Change
from .granting import granted
from .lanes import SetKey, Shape
from .leases import Request, Slice
from .order import Contest, Order
from .placement import place
from .quota import binding
from .seating import Seat, hindered, kept_free, seating
from .state import State


def grants(state: State, now: float, pools: Collection[str] | None = None) -> Iterator[Change]:
    """Grant what can be granted, in order, putting each into `state` as it goes.

    `pools` where only they have changed: pools share no GPU, so each is a round of its own.
    """
    open_sets: dict[str, set[SetKey]] = {}
    for pool in state.pools if pools is None else pools:
        state.settled.pop(pool, None)
    for pool in reserved_pools(state, pools):
        yield from claims_inside(state, pool, now)
    for shape in state.lanes.shapes:
        pool = shape.gpus[0]
        if (pools is None or pool in pools) and _fits(state, shape):
            open_sets.setdefault(pool, set()).add(shape.gpus)
    for pool, sets in sorted(open_sets.items()):
        one = Round(state, now, sets)
        yield from one.grants()
        state.settled[pool] = state.marks[pool], sets, one.promises


def reserved_pools(state: State, pools: Collection[str] | None = None) -> list[str]:
    """Pools with reservations: all of them, or those among some."""
    found = {one.pool for one in state.reservations.values()}
    return sorted(found if pools is None else found & set(pools))


def grants_to(state: State, newcomer: Request, now: float) -> Iterator[Change]:
    """The same after somebody joined the queue: where nothing else has changed since the last
    round, nobody else can be served, so that only the newcomer is looked at."""
    shape = state.shape(newcomer)
    if binding(state, newcomer):
        return
    if reserved_pools(state, (newcomer.pool,)):  # what it may use depends on how long it asks for
        yield from grants(state, now, (newcomer.pool,))
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
        self._seats: dict[str, list[Seat]] = {
            pool: seating(state, pool, now).seats
            for pool in reserved_pools(state, {key[0] for key in sets})
        }
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
            slices = self._placed(request)
            contest.go_on(lane)
            change = None if slices is None else granted(request, slices, self._now)
            if change is not None and not self._hinders(change):
                state.put(change)
                contest.served(request)
                full.clear()
                yield change
            else:
                shortest[lane.shape] = request.seconds
                self._protect(request)
                if not everybody and state.lanes.shortest(lane.shape) >= request.seconds:
                    contest.close(lane.shape)

    def _placed(self, request: Request) -> tuple[Slice, ...] | None:
        if not self._seats:
            return place_beside(self._state, request, self.promises, self._now)
        with self._beside_reservations(request):
            return place_beside(self._state, request, self.promises, self._now)

    def _beside_reservations(self, request: Request) -> AbstractContextManager[object]:
        """Inside, what is reserved while the request would run counts as taken.

        The seats are looked for once: what is granted in this round keeps off them.
        """
        seats = self._seats.get(request.pool)
        if not seats:
            return nullcontext()
        return kept_free(self._state, seats, self._now + request.seconds, self._now)

    def _hinders(self, change: Change) -> bool:
        """Whether a grant, although it keeps off the seats, leaves no good seats for all: where
        slices of several sizes are reserved for several times, the next choice may differ."""
        lease = change.lease
        if lease is None or not self._seats.get(lease.pool):
            return False
        return hindered(self._state, lease.pool, self._now, lease) is not None

    def _takes_part(self, shape: Shape) -> bool:
        return any(self._state.meet(shape.gpus, key) for key in self._sets)

    def _protect(self, request: Request) -> bool:
        """Promise it what it waits for; whether the next of its lane might get a promise too."""
        with self._beside_reservations(request):
            made = promise(self._state, request, self.promises, self._now)
        if made is not None:
            self.promises.append(made)
        everybody = self._state.rules.backfill == "conservative"
        return everybody and made is not None and len(self.promises) < self._state.rules.depth
