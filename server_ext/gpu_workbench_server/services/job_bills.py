"""What a job held and used of its slices, and which slice would have done: told when it ends."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from gpu_workbench import protocol as wire
from gpu_workbench.sizing import right_size

from ..domain.jobs import Job
from ..ports import BrokerApi, Clock, Principal

_HOUR = 3600.0
_POINTS = 2000


class Past(Protocol):
    """`services.telemetry.Telemetry.history`."""

    def __call__(
        self, subjects: Sequence[str], start: float, end: float, points: int
    ) -> wire.History: ...


class JobBills:
    """Reads ledger and telemetry; changes nothing. Without a `past` nothing is told of the size."""

    def __init__(self, broker: BrokerApi, clock: Clock, past: Past | None) -> None:
        self._broker = broker
        self._clock = clock
        self._past = past

    def hours(self, job: Job) -> tuple[float | None, float | None]:
        """GPU-hours that all leases of the job held, and what was used of it where measured."""
        who = Principal(job.owner, job.groups)
        leases = {job.request_id, *job.earlier}
        rows = self._broker.usage(who, since=job.created_at).rows
        mine = [row for row in rows if row.lease_id in leases]
        used = [row.used_gpu_seconds for row in mine if row.used_gpu_seconds is not None]
        held = sum(row.held_gpu_seconds for row in mine)
        return (
            round(held / _HOUR, 6) if mine else None,
            round(sum(used) / _HOUR, 6) if used else None,
        )

    def size_hint(self, job: Job) -> str | None:
        """While its lease can still be asked for: what to say of its size, if anything."""
        if self._past is None or not job.has_lease:
            return None
        who = Principal(job.owner, job.groups)
        lease = self._broker.lease(who, job.request_id)
        now = self._clock.now()
        past = self._past([f"lease:{lease.id}"], lease.granted_at, now, _POINTS)
        memory = [one for one in past.series if one.metric == "memory_bytes"]
        peak = _known(value for one in memory for value in one.max or one.mean)
        activity = [one for one in past.series if one.metric == "sm_activity"]
        busy = _known(value for one in activity for value in one.mean)
        cards = self._broker.cards(who, count=len(lease.slices))
        hint = right_size(
            lease.slices[0],
            int(max(peak)) if peak else None,
            sum(busy) / len(busy) if busy else None,
            [card for card in cards if card.pool == lease.pool],
            now,
        )
        return hint.sentence if hint else None


def _known(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]
