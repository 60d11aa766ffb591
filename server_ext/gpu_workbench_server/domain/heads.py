"""The heads of lanes, best first for each shape: kept between decisions, since few of them move.

What may have moved is only marked, and looked at when somebody asks: taking back a trial costs next
to nothing. Knows neither what a rank is made of nor who is granted anything (see `order`).
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Protocol

from .fairshare import NOBODY, Standing, names

if TYPE_CHECKING:
    from .lanes import Lane, Shape

RankTuple = tuple[int, bool, int, int, float, int]
"""Smaller goes first; the last two are virtual arrival and id of the request."""


class Judge(Protocol):
    """Who says how good a head is, at one moment."""

    minute: float

    def standing(self, payer: str) -> Standing: ...

    def head(self, lane: Lane) -> tuple[RankTuple, int]:
        """RankTuple and parts of the first of a lane."""


class Heads:
    """Follows the lanes of `shapes`, each of which holds (virtual arrival, id), sorted."""

    def __init__(self, shapes: Mapping[Shape, Mapping[Lane, list[tuple[float, int]]]]) -> None:
        self._shapes = shapes
        self.best: dict[Shape, list[RankTuple]] = {}
        """As of the last `follow`, which changes these lists in place."""
        self.lane_of: dict[int, Lane] = {}
        """By the id of its first request, as of the last `follow`."""
        self.changed: set[Lane] = set()
        """Lanes that somebody joined or left since."""
        self._stirred: set[str] = set()
        self._ranks: dict[Lane, RankTuple] = {}
        self._parts: dict[Lane, int] = {}
        self._payers: dict[Lane, tuple[str, str | None]] = {}
        self._lanes: dict[str, set[Lane]] = {}
        self._standings: dict[str, Standing] = {}
        self._minute = 0.0

    def stir(self, payers: Iterable[str]) -> None:
        """What these payers hold has changed."""
        self._stirred.update(payers)

    def follow(self, judge: Judge) -> None:
        """Take in what changed since the last time."""
        if judge.minute != self._minute:
            self._minute = judge.minute
            self.stir(p for p, one in self._standings.items() if not one.holds(judge.minute))
        moved: set[Lane] = set()
        for payer in self._stirred & self._standings.keys():
            old, new = self._standings[payer], judge.standing(payer)
            self._standings[payer] = new
            if old.band != new.band:
                moved |= self._lanes[payer]
            elif old.left != new.left:  # matters only where a request comes to borrow, or ceases to
                least, most = sorted((old.left, new.left))
                parts = self._parts
                moved.update(e for e in self._lanes[payer] if least < parts[e] <= most)
        self._stirred.clear()
        self._move(moved - self.changed)
        for lane in self.changed:
            self._place(lane, judge)
        self.changed.clear()

    def again(self, lane: Lane, rank: RankTuple, new: Mapping[str, Standing]) -> RankTuple:
        """The rank that a request of a lane has where only who pays for it stands otherwise; `new`
        standings come before those of the last `follow`."""
        user, group = self._payers[lane]
        if user not in new and group not in new:
            return rank
        pays = new.get(user) or self._standings[user]
        shares = NOBODY if group is None else new.get(group) or self._standings[group]
        return _standing_so(rank, self._parts[lane], pays, shares)

    def _move(self, lanes: Iterable[Lane]) -> None:
        """Their heads are the same, only who pays for them stands otherwise."""
        ranks, standings = self._ranks, self._standings
        for lane in lanes:
            old, (user, group) = ranks[lane], self._payers[lane]
            pays, shares = standings[user], NOBODY if group is None else standings[group]
            new = _standing_so(old, self._parts[lane], pays, shares)
            if new != old:
                ranks[lane] = new
                here = self.best[lane.shape]
                del here[bisect_left(here, old)]
                insort(here, new)

    def _place(self, lane: Lane, judge: Judge) -> None:
        old, new = self._ranks.get(lane), None
        if lane in self._shapes.get(lane.shape, ()):
            new, self._parts[lane] = judge.head(lane)
        if new == old:
            return
        here = self.best.setdefault(lane.shape, [])
        if old is not None:
            del here[bisect_left(here, old)]
            if self.lane_of.get(old[-1]) == lane:  # a request may stand in another lane by now
                del self.lane_of[old[-1]]
        if new is not None:
            insort(here, new)
            self.lane_of[new[-1]] = lane
            self._ranks[lane] = new
            if old is None:
                self._join(lane, judge)
        else:
            self._leave(lane)

    def _join(self, lane: Lane, judge: Judge) -> None:
        user, *group = paying = names(lane.user, lane.group)
        self._payers[lane] = user, group[0] if group else None
        for payer in paying:
            self._lanes.setdefault(payer, set()).add(lane)
            if payer not in self._standings:
                self._standings[payer] = judge.standing(payer)

    def _leave(self, lane: Lane) -> None:
        del self._ranks[lane], self._parts[lane]
        if not self.best[lane.shape]:
            del self.best[lane.shape]
        del self._payers[lane]
        for payer in names(lane.user, lane.group):
            self._lanes[payer].discard(lane)
            if not self._lanes[payer]:
                del self._lanes[payer], self._standings[payer]


def _standing_so(rank: RankTuple, parts: int, user: Standing, group: Standing) -> RankTuple:
    """The same request's rank where its payers stand like this."""
    borrows = parts > user.left or parts > group.left
    return rank[0], borrows, group.band, user.band, rank[4], rank[5]
