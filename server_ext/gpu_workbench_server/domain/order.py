"""Who is asked first: priority; within quota before borrowed; fair share; size and age.

A place in the order changes during a round only when the payer gets something, and then only for
the worse: so the round takes the heads of lanes as they stood at its beginning, and a head that has
fallen back is found when it comes up.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from math import inf
from typing import NamedTuple

from .fairshare import NOBODY, Standing, names
from .heads import RankTuple
from .lanes import Lane, Shape, virtual_arrival
from .leases import Request
from .state import State
from .units import PARTS


class Rank(NamedTuple):
    """Smaller goes first."""

    priority: int
    borrows: bool
    group: int
    user: int
    arrival: float
    id: int


class Order:
    """Ranks at one moment.

    Shares are read at full minutes, so that they are the same for all decisions of a minute that
    move none of the payer's meters.
    """

    def __init__(self, state: State, now: float) -> None:
        self._state, self.minute = state, now // 60 * 60
        self._standings = state.standings

    def rank(self, request: Request, arrival: float | None = None) -> Rank:
        """`arrival` where the caller has the virtual one at hand."""
        user = self.standing(f"user {request.user}")
        group = self.standing(f"group {request.group}") if request.group else NOBODY
        if arrival is None:
            arrival = virtual_arrival(request, self._state.rules)
        borrows = request.parts > user.left or request.parts > group.left
        return Rank(-request.priority, borrows, group.band, user.band, arrival, request.id)

    def head(self, lane: Lane) -> tuple[Rank, int]:
        """Rank and parts of the first of a lane."""
        arrival, number = self._state.lanes.shapes[lane.shape][lane][0]
        request = self._state.queue[number]
        return self.rank(request, arrival), request.parts

    def standing(self, payer: str) -> Standing:
        """What is left to a payer of what it deserves, and the band of its share."""
        known = self._standings.get(payer)
        if known is None or not known[0] <= self.minute < known[1]:
            known = self._standings[payer] = self._computed(payer)
        return known

    def _computed(self, payer: str) -> Standing:
        """As `quota.account` has it, and for how long. Spelled out: a decision needs a dozen, and
        making the accounts took a tenth of its time."""
        scope, name = payer.split(" ", 1)
        state, rules, by_user = self._state, self._state.rules, scope == "user"
        held = (state.user_parts if by_user else state.group_parts).get(name, 0)
        deserved = (rules.deserved.user if by_user else rules.deserved.group)(name)
        per_band = rules.band * (deserved or PARTS) * rules.weights.get(name, 1.0)
        meter = state.meters.get(payer)
        average = meter.read(self.minute, rules.half_life) if meter else 0.0
        band, until = int((average + held) / per_band), inf
        if meter is not None:
            least = band * per_band - held if band else -inf
            most = (band + 1) * per_band - held
            until = meter.stays(self.minute, rules.half_life, least, most)
        return Standing(self.minute, until, inf if deserved is None else deserved - held, band)

    def everybody(self) -> list[Request]:
        """The whole queue in order. For people: a decision looks only at heads."""
        return sorted(self._state.queue.values(), key=self.rank)


class Contest:
    """The heads of lanes, best first; the caller says how a lane or a whole shape goes on.

    One at a time: it reads the lists of `Heads`, which the next one brings up to date.
    """

    def __init__(
        self, state: State, order: Order, wanted: Callable[[Shape], bool] = lambda shape: True
    ) -> None:
        self._state, self._order = state, order
        self._entries: dict[Lane, Iterator[tuple[float, int]]] = {}
        self._closed: set[Shape] = set()
        self._served: dict[str, Standing] = {}
        """How payers stand now that got something since it began: nobody else can have fallen
        back."""
        self._ranks: dict[Lane, RankTuple] = {}
        self._heap: list[tuple[RankTuple, Lane, Iterator[RankTuple] | None]] = []
        """The best of each shape, with those behind it, and lanes that went on or fell back."""
        self._heads = state.lanes.heads
        self._heads.follow(order)
        for shape, best in self._heads.best.items():
            if wanted(shape):
                behind = iter(best)
                self._heap.append(self._entry(next(behind), behind))
        heapq.heapify(self._heap)

    def next(self) -> tuple[Lane, Request] | None:
        """The best head, taken out of the contest; None when all lanes are through."""
        heap, heads = self._heap, self._heads
        while heap:
            rank, lane, behind = heap[0]
            if lane.shape in self._closed:
                heapq.heappop(heap)
                continue
            following = None if behind is None else next(behind, None)
            if behind is None or following is None:
                heapq.heappop(heap)
            else:
                heapq.heapreplace(heap, self._entry(following, behind))
            if self._served:
                now = heads.again(lane, rank, self._served)
                if now > rank:
                    heapq.heappush(heap, (now, lane, None))
                    continue
            self._ranks[lane] = rank
            return lane, self._state.queue[rank[-1]]
        return None

    def _entry(
        self, rank: RankTuple, behind: Iterator[RankTuple]
    ) -> tuple[RankTuple, Lane, Iterator[RankTuple]]:
        return rank, self._heads.lane_of[rank[-1]], behind

    def served(self, request: Request) -> None:
        """It was granted: its payers have a larger share from now on."""
        for payer in names(request.user, request.group):
            self._served[payer] = self._order.standing(payer)

    def go_on(self, lane: Lane) -> None:
        """The next of this lane takes part."""
        if lane not in self._entries:  # lanes change while requests are granted
            self._entries[lane] = iter(tuple(self._state.lanes.shapes[lane.shape][lane])[1:])
        entry = next(self._entries[lane], None)
        if entry is not None:  # in a lane only age and size differ
            heapq.heappush(self._heap, ((*self._ranks[lane][:4], *entry), lane, None))

    def close(self, shape: Shape) -> None:
        """Nobody of this shape has a chance any more."""
        self._closed.add(shape)
