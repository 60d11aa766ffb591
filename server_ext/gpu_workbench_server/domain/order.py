"""Who is asked first: priority; within quota before borrowed; fair share; size and age.

A place in the order changes only when the payer gets something, and then only for the worse: so the
heads of lanes stand in a heap, and a head that has fallen back is found when it comes up.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from typing import NamedTuple

from .lanes import Lane, virtual_arrival
from .leases import Request
from .quota import account, borrows
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
        self._bands: dict[tuple[str, str], int] = {}

    def rank(self, request: Request) -> Rank:
        group = self._band("group", request.group) if request.group is not None else 0
        return Rank(
            -request.priority,
            borrows(self._state, request),
            group,
            self._band("user", request.user),
            virtual_arrival(request, self._state.rules),
            request.id,
        )

    def forget(self, request: Request) -> None:
        """It was granted: its payers have a larger share from now on."""
        self._bands.pop(("user", request.user), None)
        self._bands.pop(("group", request.group or ""), None)

    def _band(self, scope: str, name: str) -> int:
        if (scope, name) not in self._bands:
            one = account(self._state, "user" if scope == "user" else "group", name, self._now)
            self._bands[scope, name] = int(one.share / self._state.rules.band)
        return self._bands[scope, name]

    def everybody(self) -> list[Request]:
        """The whole queue in order. For people: a decision looks only at heads."""
        return sorted(self._state.queue.values(), key=self.rank)


class Contest:
    """The heads of lanes, best first; the caller says of each lane how it goes on."""

    def __init__(
        self, state: State, order: Order, wanted: Callable[[Lane], bool] = lambda lane: True
    ) -> None:
        self._state, self._order = state, order
        self._heap: list[tuple[Rank, int, Lane]] = []
        self._entries: dict[Lane, Iterator[tuple[float, int]]] = {}
        for lane, entries in list(state.lanes):
            if wanted(lane):
                self._entries[lane] = iter(tuple(entries))
                self.go_on(lane)

    def next(self) -> tuple[Lane, Request] | None:
        """The best head, taken out of the contest; None when all lanes are through."""
        while self._heap:
            rank, request_id, lane = heapq.heappop(self._heap)
            request = self._state.queue[request_id]
            now = self._order.rank(request)
            if now > rank and self._heap and now > self._heap[0][0]:
                heapq.heappush(self._heap, (now, request_id, lane))
                continue
            return lane, request
        return None

    def go_on(self, lane: Lane) -> None:
        """The next of this lane takes part."""
        entry = next(self._entries[lane], None)
        if entry is not None:
            rank = self._order.rank(self._state.queue[entry[1]])
            heapq.heappush(self._heap, (rank, entry[1], lane))
