"""What may replace what: the last guard against an older version overwriting a newer one.

Shared by both stores. A broker that is not the only one (two with one database), or whose memory
is behind the store, would otherwise bring back a lease that is over, or write its own request
over another broker's of the same id.
"""

from __future__ import annotations

from ..domain.leases import Lease, Request
from ..domain.reservations import Reservation
from ..errors import StoreTrouble

DEFECT = (
    "Nothing was changed. If two brokers share this store, stop one of them; if not, this is a "
    "defect of GPU Workbench: please report it."
)


def request_fault(old: Request | None, new: Request) -> str | None:
    """Why `new` can't be the next version of `old`, in a sentence without its full stop."""
    if old is None:
        return None
    if (old.user, old.created_at) != (new.user, new.created_at):
        return f"request {new.id} is another one, of {old.user}"
    if old.state not in ("queued", new.state):
        return f"request {new.id} is {old.state} and can't become {new.state}"
    return None


def lease_fault(old: Lease | None, new: Lease) -> str | None:
    """Why `new` can't be the next version of `old`, in a sentence without its full stop."""
    if old is None:
        return None
    if (old.user, old.granted_at) != (new.user, new.granted_at):
        return f"lease {new.id} is another one, of {old.user}"
    if old.state == "ended" and (new.state, new.ended_at) != ("ended", old.ended_at):
        return f"lease {new.id} has ended and can't become {new.state} again"
    if old.cleared and not new.cleared:
        return f"lease {new.id} is cleared: its slices may be somebody else's"
    return None


def reservation_fault(old: Reservation | None, new: Reservation) -> str | None:
    """Why `new` can't be the next version of `old`, in a sentence without its full stop."""
    if old is None:
        return None
    if (old.owner, old.created_at) != (new.owner, new.created_at):
        return f"reservation {new.id} is another one, of {old.owner}"
    if old.state not in ("booked", new.state):
        return f"reservation {new.id} is {old.state} and can't become {new.state}"
    return None


def refused(why: str) -> StoreTrouble:
    """What a store raises for a fault found here or by its constraints."""
    return StoreTrouble(f"The store refuses this: {why}.", DEFECT)
