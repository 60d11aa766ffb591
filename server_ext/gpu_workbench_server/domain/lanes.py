"""The queue, indexed: requests of one shape, payer and priority stand in one lane, in order.

Within a lane everything but age and size is equal, so only the heads of lanes compete, and where
the head of a lane finds no room, nobody behind it needs to be asked.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from typing import NamedTuple

from .heads import Heads
from .leases import Request
from .rules import Rules
from .units import PARTS

SetKey = tuple[str, str, float]
"""Pool, profile, least memory of a slice in GB: which GPUs can serve a request at all."""


class Shape(NamedTuple):
    """What makes two requests the same to the placement."""

    gpus: SetKey
    slices: int
    same_node: bool


class Lane(NamedTuple):
    shape: Shape
    priority: int
    group: str | None
    user: str


def virtual_arrival(request: Request, rules: Rules) -> float:
    """When a request counts as having come: later, the more GPU-seconds it asks for."""
    size = request.seconds * request.parts / PARTS
    return request.created_at + min(rules.size_cap, rules.size_weight * size)


class Lanes:
    """Lanes by shape. Each holds (virtual arrival, id), sorted."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self.shapes: dict[Shape, dict[Lane, list[tuple[float, int]]]] = {}
        self.heads = Heads(self.shapes)
        self._spans: dict[Shape, list[int]] = {}

    def add(self, request: Request, shape: Shape) -> None:
        lane = Lane(shape, request.priority, request.group, request.user)
        insort(self.shapes.setdefault(shape, {}).setdefault(lane, []), self._entry(request))
        self.heads.changed.add(lane)
        insort(self._spans.setdefault(shape, []), request.seconds)

    def shortest(self, shape: Shape) -> int:
        """The shortest lease that anybody of a shape asks for, in seconds."""
        return self._spans[shape][0]

    def drop(self, request: Request, shape: Shape) -> None:
        lane = Lane(shape, request.priority, request.group, request.user)
        entries = self.shapes[shape][lane]
        self.heads.changed.add(lane)
        del entries[bisect_left(entries, self._entry(request))]
        spans = self._spans[shape]
        del spans[bisect_left(spans, request.seconds)]
        if not entries:
            del self.shapes[shape][lane]
            if not self.shapes[shape]:
                del self.shapes[shape]

    def _entry(self, request: Request) -> tuple[float, int]:
        return virtual_arrival(request, self._rules), request.id

    def __iter__(self) -> Iterator[tuple[Lane, list[tuple[float, int]]]]:
        for lanes in self.shapes.values():
            yield from lanes.items()
