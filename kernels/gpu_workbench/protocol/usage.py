"""What was held and what was used of it."""

from __future__ import annotations

from .base import Wire
from .leases import EndReason, HolderKind


class UsageRow(Wire, frozen=True, kw_only=True):
    """One line of the ledger: what one lease held and used."""

    lease_id: int
    user: str
    group: str | None
    """Who paid besides the user."""
    pool: str
    profile: str
    purpose: HolderKind
    name: str
    requested_at: float | None
    """When the request was made that became this lease."""
    granted_at: float
    until: float
    held_gpu_seconds: float
    used_gpu_seconds: float | None
    declared_seconds: float | None
    """For how long it was taken, extensions included."""
    end_reason: EndReason | None


class Usage(Wire, frozen=True, kw_only=True):
    rows: list[UsageRow]
    held_gpu_seconds: float
    used_gpu_seconds: float | None
