"""What was held and what was used of it."""

from __future__ import annotations

from .base import Wire
from .leases import EndReason, HolderKind


class UsageRow(Wire, frozen=True, kw_only=True):
    """One line of the ledger: what one lease held and used."""

    lease_id: int
    user: str
    pool: str
    profile: str
    purpose: HolderKind
    name: str
    granted_at: float
    until: float
    held_gpu_seconds: float
    used_gpu_seconds: float | None
    end_reason: EndReason | None


class Usage(Wire, frozen=True, kw_only=True):
    rows: list[UsageRow]
    held_gpu_seconds: float
    used_gpu_seconds: float | None
