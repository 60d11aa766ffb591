"""What an admin sets, as the broker needs it."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..domain.fleet import Limits, Pool
from ..domain.rules import Rules


@dataclass(frozen=True, slots=True)
class Policy:
    """Pools, limits, the rules of the order, and for how many seconds a heartbeat is good."""

    pools: tuple[Pool, ...] = (Pool(),)
    limits: Limits = field(default_factory=Limits)
    rules: Rules = field(default_factory=Rules)
    lease_ttl: int = 90
    dead_grace: float = 10.0
    """Seconds after which a lease is lost whose holder's process is gone (a restart fits in)."""
    stop_grace: float = 10.0
    """Seconds that what runs on an ended lease gets to end by itself."""
    bookers: tuple[str, ...] = ()
    """Users and groups who may book reservations; admins always may."""
