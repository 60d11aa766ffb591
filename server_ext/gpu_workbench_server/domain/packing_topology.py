"""Which GPUs of a host make up a gang: near each other where there is a choice.

Knows a GPU by its free share, its NVLink island and its NUMA node (-1: none is known).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple


class Seat(NamedTuple):
    """One GPU of a host, by its position in the host's order."""

    free: int
    island: int
    numa: int


def gather(seats: Sequence[Seat], taken: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """(position, times) of the GPUs that have the room `taken` asks for, as near as can be.

    One NVLink island first, then one NUMA node, then the order of the GPUs.
    """
    found: list[tuple[int, int]] = []
    for (room, times), number in Counter(taken).items():
        near = [at for at, seat in enumerate(seats) if seat.free == room]
        if number < len(near):
            used = [at for at, _ in found]
            near = [at for at in near if at not in used]
            near = _nearest(near, number, lambda at: seats[at].island, lambda at: seats[at].numa)
        free = [at for at in near if at not in {taken_at for taken_at, _ in found}]
        found += [(at, times) for at in free[:number]]
    return sorted(found)


def spread(seats: Sequence[Seat], places: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """Over how many islands and NUMA nodes places are spread: fewer is better."""
    return (
        len({seats[at].island for at, _ in places}),
        len({seats[at].numa for at, _ in places}),
    )


def _nearest(positions: list[int], number: int, *keys: Callable[[int], int]) -> list[int]:
    """The first `number` of an order in which neighbours by the first key stand together.

    Of groups that hold them all the smallest is taken, otherwise the largest first.
    """
    if not keys or number >= len(positions):
        return positions[:number]
    groups: dict[int, list[int]] = {}
    for at in positions:
        groups.setdefault(keys[0](at), []).append(at)
    enough = [group for group in groups.values() if len(group) >= number]
    if enough:
        return _nearest(min(enough, key=lambda g: (len(g), g[0])), number, *keys[1:])
    chosen: list[int] = []
    for group in sorted(groups.values(), key=lambda g: (-len(g), g[0])):
        chosen += _nearest(group, min(number - len(chosen), len(group)), *keys[1:])
    return chosen[:number]
