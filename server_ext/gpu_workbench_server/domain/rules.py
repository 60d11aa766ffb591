"""What an admin sets about the order: fair share, backfill, preemption, notices. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from .fleet import Limits

Backfill = Literal["none", "easy", "conservative"]


@dataclass(frozen=True, slots=True)
class Rules:
    """One setting for the whole broker. Durations in seconds."""

    deserved: Limits = field(default_factory=Limits)
    """Parts that are a user's or group's by right. None: nothing it holds counts as borrowed."""
    weights: Mapping[str, float] = field(default_factory=dict)
    """By group or user name: how much of what is left over goes to whom; 1 where not named."""
    half_life: float = 7 * 86400.0
    """After this long, past use counts half."""
    band: float = 0.5
    """Shares within one band of deserved quota count as equal; size and age decide there."""
    size_weight: float = 0.0
    """Seconds by which a request counts as younger, for each GPU-second it asks for."""
    size_cap: float = 4 * 3600.0
    """At most so many, so that the largest request is passed by younger ones for no longer."""
    backfill: Backfill = "easy"
    depth: int = 100
    """Requests tried in one decision before the rest has to wait for the next."""
    min_run: float = 600.0
    """A borrowed lease runs at least this long before it may be asked to give way."""
    grace: float = 120.0
    """From the notice to the end of a lease that gives way."""
    worth: float = 60.0
    """Nobody gives way where waiting would take only so much longer than the grace."""
    notice: float = 300.0
    """How long before a lease's end its holder is told."""
    book_ahead: float = 90 * 86400.0
    """A reservation begins at most so far from now."""
    book_seconds: float = 7 * 86400.0
    """A reservation lasts at most so long."""
    unclaimed: float = 900.0
    """A reservation that nobody uses for so long after its start is given up."""

    def __post_init__(self) -> None:
        """ValueError, naming the setting, where one makes no sense."""
        for name in ("half_life", "band", "depth"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} is {getattr(self, name)}: it must be more than 0")
        for name in ("size_weight", "size_cap", "min_run", "grace", "worth", "notice",
                     "book_ahead", "book_seconds", "unclaimed"):  # fmt: skip
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}: it must be 0 or more")
        for who, weight in self.weights.items():
            if weight <= 0:
                raise ValueError(f"weights: {who} has {weight}: it must be more than 0")
