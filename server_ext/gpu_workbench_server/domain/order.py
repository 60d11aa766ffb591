"""Who is asked first: priority; within quota before borrowed; fair share; size and age.

A place in the order changes only when the payer gets something, and then only for the worse: so the
heads of lanes stand in a heap, and a head that has fallen back is found when it comes up.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from math import inf
from typing import NamedTuple

from .lanes import Lane, Shape, virtual_arrival
from .leases import Request
from .quota import accounts
from .state import State


class Rank(NamedTuple):
    """Smaller goes first."""

    priority: int
    borrows: bool
    group: int
    user: int
    arrival: float
    id: int


class Order:
    """Ranks at one moment. What is granted meanwhile must be told with `forget`."""

    def __init__(self, state: State, now: float) -> None:
        self._state, self._now = state, now
        self._payers: dict[tuple[str | None, str], tuple[float, int, int]] = {}

    def rank(self, request: Request, arrival: float | None = None) -> Rank:
        """`arrival` where the caller has the virtual one at hand."""
        left, group, user = self.standing(request.group, request.user)
        if arrival is None:
            arrival = virtual_arrival(request, self._state.rules)
        return Rank(-request.priority, request.parts > left, group, user, arrival, request.id)

    def forget(self, request: Request) -> None:
        """It was granted: its payers have a larger share from now on."""
        stale = [
            payer
            for payer in self._payers
            if payer[1] == request.user or (request.group and payer[0] == request.group)
        ]
        for payer in stale:
            del self._payers[payer]

    def standing(self, group: str | None, user: str) -> tuple[float, int, int]:
        """Parts left of what is deserved, and the bands of the group's and the user's share.

        Shares are read at full minutes, so that they are the same for all decisions of a minute
        that move none of the payer's meters, and need to be computed only once.
        """
        found = self._payers.get((group, user))
        if found is None:
            state = self._state
            minute = self._now // 60 * 60
            fresh = minute, state.meters.get(f"user {user}"), state.meters.get(f"group {group}")
            known = state.standings.get((group, user))
            if known is not None and known[0] == fresh:
                found = known[1]
            else:
                found = self._computed(group, user, minute)
                state.standings[group, user] = fresh, found
            self._payers[group, user] = found
        return found

    def _computed(self, group: str | None, user: str, minute: float) -> tuple[float, int, int]:
        paying = accounts(self._state, user, group, minute)
        left = min(inf if one.deserved is None else one.deserved - one.held for one in paying)
        bands = [int(one.share / self._state.rules.band) for one in paying]
        return left, bands[0] if group is not None else 0, bands[-1]

    def everybody(self) -> list[Request]:
        """The whole queue in order. For people: a decision looks only at heads."""
        return sorted(self._state.queue.values(), key=self.rank)


Head = tuple[tuple[int, bool, int, int, float, int], Lane]
"""A rank, as a bare tuple: there are as many heads as lanes, in each decision."""


class Contest:
    """The heads of lanes, best first; the caller says how a lane or a whole shape goes on."""

    def __init__(
        self, state: State, order: Order, wanted: Callable[[Shape], bool] = lambda shape: True
    ) -> None:
        self._state, self._order = state, order
        self._entries: dict[Lane, Iterator[tuple[float, int]]] = {}
        self._heaps: dict[Shape, list[Head]] = {}
        for shape, lanes in state.lanes.shapes.items():
            if wanted(shape):
                self._heaps[shape] = heads = self._heads(lanes)
                heapq.heapify(heads)

    def next(self) -> tuple[Lane, Request] | None:
        """The best head, taken out of the contest; None when all lanes are through."""
        while self._heaps:
            shape = min(self._heaps, key=self._best)
            heap = self._heaps[shape]
            rank, lane = heap[0]
            request = self._state.queue[rank[-1]]
            now = self._order.rank(request, rank[-2])
            if now > rank:
                heapq.heapreplace(heap, (now, lane))
                continue
            heapq.heappop(heap)
            if not heap:
                del self._heaps[shape]
            return lane, request
        return None

    def go_on(self, lane: Lane) -> None:
        """The next of this lane takes part."""
        if lane not in self._entries:  # lanes change while requests are granted
            self._entries[lane] = iter(tuple(self._state.lanes.shapes[lane.shape][lane])[1:])
        entry = next(self._entries[lane], None)
        if entry is not None:
            rank = self._order.rank(self._state.queue[entry[1]], entry[0])
            heapq.heappush(self._heaps.setdefault(lane.shape, []), (rank, lane))

    def close(self, shape: Shape) -> None:
        """Nobody of this shape has a chance any more."""
        self._heaps.pop(shape, None)

    def _best(self, shape: Shape) -> Head:
        return self._heaps[shape][0]

    def _heads(self, lanes: dict[Lane, list[tuple[float, int]]]) -> list[Head]:
        found: list[Head] = []
        standing, queue = self._order.standing, self._state.queue
        parts = queue[next(iter(lanes.values()))[0][1]].parts  # the same for all of a shape
        for lane, entries in lanes.items():
            _, priority, group, user = lane
            left, group_band, user_band = standing(group, user)
            arrival, number = entries[0]
            rank = (-priority, parts > left, group_band, user_band, arrival, number)
            found.append((rank, lane))
        return found
