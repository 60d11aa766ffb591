"""What changes mean to those who watch: one piece of news for each thing that may look different.

Pure: changes in, news out. Who may see which of it is the surface's business.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..domain.decisions import Change
from ..domain.order import Order
from ..domain.state import State
from ..ports import News
from . import views

RETOLD = 50
"""Of so many, from the head of the queue, a change of who holds what may move the estimate."""

_MOVING = {"granted", "ended", "cleared", "cancelled", "extended", "booked", "over", "lapsed"}
"""Changes after which somebody who waits may be told something else."""


def news_of(changes: Sequence[Change], state: State, now: float) -> Iterator[News]:
    """The news of changes that the state has taken in."""
    kinds = {change.kind for change in changes}
    for change in changes:
        if change.request:
            yield News("request", str(change.request.id), change.request.user, change.kind)
        if change.lease and change.kind != "metered":
            subject, owner = str(change.lease.id), change.lease.user
            if change.kind in ("notice", "kept"):
                yield News("notice", subject, owner, views.notice(change.lease, now))
            yield News("lease", subject, owner, change.kind)
    if kinds - {"metered"}:
        yield News("fleet", "fleet")
    if kinds & _MOVING:
        for waiting in Order(state, now).everybody()[:RETOLD]:
            yield News("request", str(waiting.id), waiting.user, "waiting")


def subject_of(change: Change) -> str:
    """What a change is about, as the audit names it."""
    if change.lease is not None:
        return f"lease {change.lease.id}"
    if change.reservation is not None:
        return f"reservation {change.reservation.id}"
    return f"request {change.request.id}" if change.request else ""
