"""A request becomes a lease, with the same number. Knows neither who is next nor why here."""

from __future__ import annotations

from .decisions import Change
from .leases import Lease, Request, Slice
from .transitions import moved


def granted(
    request: Request,
    slices: tuple[Slice, ...],
    now: float,
    ends_at: float | None = None,
    reservation: int | None = None,
) -> Change:
    """`ends_at` where it ends sooner than was asked for, with its `reservation`."""
    lease = Lease(
        id=request.id,
        user=request.user,
        group=request.group,
        pool=request.pool,
        profile=request.profile,
        slices=slices,
        parts=sum(one.parts for one in slices),
        purpose=request.purpose,
        name=request.name,
        granted_at=now,
        ends_at=now + request.seconds if ends_at is None else ends_at,
        reservation=reservation,
    )
    why = f"waited {now - request.created_at:.1f} s"
    if reservation is not None:
        why += f", inside reservation {reservation}"
    return Change("granted", moved(request, "granted"), lease, why=why)
