"""What becomes of a job whose rank was lost: it ends, is placed anew, or goes on with fewer. Pure.

A rank is lost where something outside took it: a signal, a GPU that failed. One that raised is not:
it would raise again. Restarts of all ranks where they are come before this, and are torch's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from .diagnosis import Cause, RankEnd

IfLost = Literal["fail", "replace", "fewer"]
LOST = frozenset({"killed", "frozen", "lost_gpu", "host_memory"})
"""Causes of which one can go on."""
MOST_TIMES = 10
"""A job is placed anew at most so often: what loses it each time is its own doing."""

_KILLED = 9


@dataclass(frozen=True, slots=True)
class GoOn:
    """The ranks (by their number so far) whose slices go on; None: all, on other slices."""

    survivors: tuple[int, ...] | None


def after_loss(if_lost: IfLost, cause: Cause, ranks: Sequence[RankEnd], times: int) -> GoOn | None:
    """How it goes on, or None where it ends; `times` is how often it went on before."""
    if if_lost == "fail" or cause.code not in LOST or times >= MOST_TIMES:
        return None
    if if_lost == "replace":
        return GoOn(None)
    gone = {one.rank for one in ranks if one.exit_code == -_KILLED or one.stuck == "frozen"}
    gone |= {cause.rank} if cause.rank is not None else set()
    survivors = tuple(one.rank for one in ranks if one.rank not in gone)
    return GoOn(survivors) if survivors and gone else None
