"""`gw.reserve()` and `gw.reservations()`: slices booked ahead, from the notebook.

course = gw.reserve("20GB", count=8, start="2026-12-01 10:00", hours=2, group="vision")
course.cancel()
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from html import escape

from . import protocol as wire
from .client import get_client
from .display import Rich, at, block, short
from .errors import GpuWorkbenchError

Moment = str | float | datetime | timedelta | None
"""A time: seconds since the epoch, a datetime, an ISO text (local time), or how long from now."""


@dataclass(frozen=True, repr=False)
class ReservationView(Rich):
    """One reservation. Its slices are taken by asking for them as always, while it lasts."""

    reservation: wire.Reservation

    @property
    def id(self) -> int:
        return self.reservation.id

    def cancel(self) -> None:
        """Give it up; leases that hold slices of it go on."""
        get_client().unbook(self.id)

    def _text(self) -> str:
        one = self.reservation
        whom = one.user or (f"group {one.group}" if one.group else "somebody")
        lines = [
            f"Reservation {one.id}: {one.count} × {short(one.profile)} in pool {one.pool} "
            f"for {whom}, {at(one.start)} to {at(one.end)}"
        ]
        if one.lacks:
            lines.append(f"{one.lacks} of them wait for leases that were there before.")
        return "\n".join(lines)

    def _html(self) -> str:
        return block("<br>".join(map(escape, self._text().splitlines())))


class ReservationList(Rich, list[ReservationView]):
    """Everybody's reservations, by start."""

    def _text(self) -> str:
        return "\n".join(one._text() for one in self) or "Nothing is reserved."

    def _html(self) -> str:
        return block("<br>".join(map(escape, self._text().splitlines())))


def reserve(
    what: str,
    *,
    count: int = 1,
    start: Moment = None,
    end: Moment = None,
    hours: float | None = None,
    user: str | None = None,
    group: str | None = None,
    pool: str | None = None,
    same_node: bool = False,
    name: str = "",
) -> ReservationView:
    """Book slices from `start` (now, if not given) until `end`, or for so many `hours`.

    For yourself, or for a `user` or `group` where you may. Raises `GpuWorkbenchError`: you may not
    book here, the pool can't give that, or others have reserved it.
    """
    new = wire.NewReservation(
        what=what,
        count=count,
        start=_moment(start, "start"),
        end=_moment(end, "end"),
        seconds=None if hours is None else hours * 3600,
        user=user,
        group=group,
        pool=pool,
        same_node=same_node,
        name=name,
    )
    return ReservationView(get_client().book(new))


def reservations() -> ReservationList:
    """What is booked and not over, by start."""
    return ReservationList(ReservationView(one) for one in get_client().reservations())


def _moment(given: Moment, name: str) -> float | None:
    if given is None or isinstance(given, (int, float)):
        return given
    if isinstance(given, timedelta):
        return time.time() + given.total_seconds()
    if isinstance(given, datetime):
        return given.timestamp()
    try:
        return datetime.fromisoformat(given).timestamp()
    except ValueError:
        raise GpuWorkbenchError(
            "bad_ask",
            f"{name} is {given!r}: that is no time.",
            'Write it as "2026-12-01 10:00", or give a datetime or a timedelta from now.',
        ) from None
