"""Which slice would have done, by what was measured of the leases that a cluster or a job held."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Protocol

from gpu_workbench import protocol as wire
from gpu_workbench.sizing import Hint, right_size

from ..ports import BrokerApi, Clock, Principal

log = logging.getLogger(__name__)

_POINTS = 2000


class Past(Protocol):
    """`services.telemetry.Telemetry.history`."""

    def __call__(
        self, subjects: Sequence[str], start: float, end: float, points: int
    ) -> wire.History: ...


class SizeHints:
    """Reads telemetry; changes nothing. Without a `past` nothing is told."""

    def __init__(self, broker: BrokerApi, clock: Clock, past: Past | None) -> None:
        self._broker = broker
        self._clock = clock
        self._past = past

    def of(self, who: Principal, lease_ids: Sequence[int]) -> Hint | None:
        """While they can still be asked for: what to say of their size, which is the same for all.

        The most memory that any slice needed decides, and how busy they were in the mean.
        """
        if self._past is None or not lease_ids:
            return None
        try:
            return self._look(who, lease_ids, self._past)
        except Exception:  # a hint must not be in the way of an end
            log.exception("no hint for a better size")
            return None

    def _look(self, who: Principal, lease_ids: Sequence[int], past: Past) -> Hint | None:
        leases = [self._broker.lease(who, number) for number in lease_ids]
        now, since = self._clock.now(), min(lease.granted_at for lease in leases)
        seen = past([f"lease:{lease.id}" for lease in leases], since, now, _POINTS)
        memory = [one for one in seen.series if one.metric == "memory_bytes"]
        peak = _known(value for one in memory for value in one.max or one.mean)
        activity = [one for one in seen.series if one.metric == "sm_activity"]
        busy = _known(value for one in activity for value in one.mean)
        cards = self._broker.cards(who, count=len(leases[0].slices))
        return right_size(
            leases[0].slices[0],
            int(max(peak)) if peak else None,
            sum(busy) / len(busy) if busy else None,
            [card for card in cards if card.pool == leases[0].pool],
            now,
        )


def _known(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]
