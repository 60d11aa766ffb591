"""What a job held and used of its slices, and which slice would have done: told when it ends."""

from __future__ import annotations

from ..domain.jobs import Job
from ..ports import BrokerApi, Clock, Principal
from .size_hints import Past, SizeHints

_HOUR = 3600.0


class JobBills:
    """Reads ledger and telemetry; changes nothing. Without a `past` nothing is told of the size."""

    def __init__(self, broker: BrokerApi, clock: Clock, past: Past | None) -> None:
        self._broker = broker
        self._hints = SizeHints(broker, clock, past)

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
        if not job.has_lease:
            return None
        hint = self._hints.of(Principal(job.owner, job.groups), [job.request_id])
        return hint.sentence if hint else None
