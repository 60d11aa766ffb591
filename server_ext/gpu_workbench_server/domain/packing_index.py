"""Which of many hosts is best for a shape, kept up to date: a decision looks at what changed since.

Knows scores and hosts by number, not what a score is made of: whole GPUs, fractions and MIG use it
alike, and so do the replay of a trace and the broker. Ties go to the smallest number.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Hashable, Iterable
from typing import Any, Generic, TypeVar

S = TypeVar("S")
K = TypeVar("K", bound=Hashable)
Score = Any  # a float, or a tuple of numbers: one kind for one index

_RANKINGS = 1024
"""Kinds of requests whose ranking is kept; the least recently used goes first."""


class _Ranking:
    """A heap of (score, host, version); an entry of an older version is stale."""

    __slots__ = ("dirty", "heap")

    def __init__(self, hosts: int) -> None:
        self.heap: list[tuple[Score, int, int]] = []
        self.dirty: set[int] = set(range(hosts))


class Index(Generic[S, K]):
    """Hosts 0…n-1 with their states, ranked for each kind of request on demand.

    `score(state, kind)` must be pure; None where the kind does not fit there.
    """

    def __init__(self, states: Iterable[S], score: Callable[[S, K], Score | None]) -> None:
        self.states = list(states)
        self._score = score
        self._version = [0] * len(self.states)
        self._rankings: dict[K, _Ranking] = {}

    def set(self, host: int, state: S) -> None:
        """A host has changed."""
        if state == self.states[host]:
            return
        self.states[host] = state
        self._version[host] += 1
        for ranking in self._rankings.values():
            ranking.dirty.add(host)

    def rescore(self) -> None:
        """What a score is made of has changed."""
        self._rankings.clear()

    def best(self, kind: K, view: Callable[[int], S | None] | None = None) -> int | None:
        """The host with the least score; None where the kind fits nowhere.

        `view(host)` gives a host's state as this question may see it, None where it is as it is.
        """
        heap, version = self._fresh(kind), self._version
        passed: list[tuple[Score, int, int]] = []
        seen: list[tuple[Score, int]] = []
        while heap:
            top = heap[0]
            if top[2] != version[top[1]]:
                heapq.heappop(heap)
                continue
            other = view(top[1]) if view is not None else None
            if other is None:
                seen.append(top[:2])
                break
            score = self._score(other, kind)
            if score is not None:
                seen.append((score, top[1]))
            passed.append(heapq.heappop(heap))
        for entry in passed:
            heapq.heappush(heap, entry)
        return min(seen)[1] if seen else None

    def _fresh(self, kind: K) -> list[tuple[Score, int, int]]:
        ranking = self._rankings.pop(kind, None)
        if ranking is None:
            ranking = _Ranking(len(self.states))
            if len(self._rankings) >= _RANKINGS:
                del self._rankings[next(iter(self._rankings))]
        self._rankings[kind] = ranking  # the last one is the one used last
        heap, states, version = ranking.heap, self.states, self._version
        if len(ranking.dirty) + len(heap) > 4 * len(states) + 64:
            ranking.dirty = set(range(len(states)))
            heap.clear()
        rebuilt = not heap
        for host in ranking.dirty:
            score = self._score(states[host], kind)
            if score is not None:
                entry = (score, host, version[host])
                if rebuilt:
                    heap.append(entry)
                else:
                    heapq.heappush(heap, entry)
        if rebuilt:
            heapq.heapify(heap)
        ranking.dirty.clear()
        return heap
