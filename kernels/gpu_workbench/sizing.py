"""Whether a slice is far too big or too small for what ran on it, and which one would do.

One rule for cells (`%%gpu_profile`), clusters and jobs. Pure: it knows no server and no clock, and
takes the fleet's own list of what can be had (the cards of the request form) as it is handed in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from . import protocol as wire
from .display import expected, gigabytes, short

ROOM = 1.25
"""A slice would do where it has this much more memory than was seen at most."""
WORTH = 0.5
"""A smaller slice is worth a word where it is at most this part of the one that is held."""
FULL = 0.95
"""From this part of its memory on a slice is nearly full."""
_GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Hint:
    """`sentence` for people; `profile` is what to ask for, None where nothing on offer fits."""

    kind: Literal["too_big", "too_small"]
    sentence: str
    profile: str | None


def right_size(
    held: wire.Slice,
    peak_bytes: int | None,
    sm_activity: float | None,
    cards: Sequence[wire.Card],
    now: float,
) -> Hint | None:
    """What to say of a slice that used at most `peak_bytes` of its memory; None where it is right.

    `sm_activity` (0..1, the mean) is how much of the slice's processors was used: a slice with
    fewer than that is not proposed. Where it is unknown (None) memory alone decides, and the
    sentence says so: "busy" is not "needs all of it". `cards` are of the pool and count that would
    be asked for again, `now` is in seconds since the epoch.

        peak 6.1 GB of 80 GB: a 1g.10gb slice would do, and start now
    """
    if peak_bytes is None:
        return None  # unknown is not small
    fitting = [
        card
        for card in cards
        if card.when in ("now", "queued") and card.memory_gb * _GIB >= peak_bytes * ROOM
    ]
    used = f"peak {gigabytes(peak_bytes)} of {gigabytes(held.memory_bytes)}"
    if peak_bytes >= held.memory_bytes * FULL:
        larger = [card for card in fitting if card.memory_gb * _GIB > held.memory_bytes]
        if not larger:
            return Hint("too_small", f"{used}: nearly full, and no larger slice is on offer", None)
        best = min(larger, key=_size)
        told = f"{used}: nearly full; a {_name(best)} has room{_when(best, now, ' and could')}"
        return Hint("too_small", told, best.profile)
    busy = 0.0 if sm_activity is None else sm_activity * held.units
    smaller = [card for card in fitting if busy <= card.units <= held.units * WORTH]
    if not smaller:
        return None
    best = min(smaller, key=_size)
    by = "by its memory " if sm_activity is None else ""
    told = f"{used}: {by}a {_name(best)} would do{_when(best, now, ', and')}"
    return Hint("too_big", told, best.profile)


def _size(card: wire.Card) -> tuple[float, float]:
    return (card.units, card.memory_gb)


def _name(card: wire.Card) -> str:
    return "whole GPU" if card.kind == "whole" else f"{short(card.profile)} slice"


def _when(card: wire.Card, now: float, joined: str) -> str:
    """`, and start now`, `, and start in about 12 min (at 14:32)`, or nothing where unknown."""
    if card.when == "now":
        return f"{joined} start now"
    told = expected(card.expected_at, now)
    return f"{joined} start {told}" if told else ""
