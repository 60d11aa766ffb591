"""A cluster's requests and leases: seen, asked for, bound and given back at the broker.

On behalf of the cluster's owner. Knows no process and no file; what to do is `domain.seats`' word.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gpu_workbench import protocol as wire

from ..domain.clusters import ClusterRecord
from ..domain.seats import Seat, SeatFacts, SeatPlan, plan_seats
from ..ports import BrokerApi, Principal


class ClusterSeats:
    def __init__(self, broker: BrokerApi) -> None:
        self._broker = broker

    def check(
        self, who: Principal, what: str, pool: str | None, workers: int, seconds: int | None
    ) -> wire.Request:
        """What so many would come to. Raises a `Refused` where they can never be had."""
        ask = wire.Ask(
            what=what,
            count=max(1, workers),
            seconds=seconds,
            pool=pool,
            purpose="cluster",
            dry_run=True,
        )
        return self._broker.ask(who, ask)

    def ask(self, record: ClusterRecord) -> tuple[Seat, str]:
        """One more slice, and what it waits for; or a `Refused`. The same for the same record."""
        ask = wire.Ask(
            what=record.what or record.per_worker,
            seconds=record.seconds,
            pool=record.pool,
            purpose="cluster",
            name=record.name,
            key=f"{record.id}.{record.asked}",
        )
        request = self._broker.ask(owner_of(record), ask)
        return Seat(request.id, leased=request.state == "granted"), _wait_sentence(request)

    def leases(self, record: ClusterRecord) -> dict[int, wire.Lease]:
        """Those of its seats, ended ones included."""
        owner = owner_of(record)
        return {
            seat.request_id: self._broker.lease(owner, seat.request_id)
            for seat in record.seats
            if seat.leased
        }

    def plan(
        self,
        record: ClusterRecord,
        leases: Mapping[int, wire.Lease],
        status: wire.ClusterStatus | None,
        now: float,
    ) -> SeatPlan:
        workers = {one.slice_id: one for one in status.workers} if status else {}
        facts = {
            seat.request_id: self._facts(record, seat, leases.get(seat.request_id), workers)
            for seat in record.seats
        }
        return plan_seats(record.seats, facts, record.workers_wanted, now)

    def _facts(
        self,
        record: ClusterRecord,
        seat: Seat,
        lease: wire.Lease | None,
        workers: Mapping[str, wire.WorkerView],
    ) -> SeatFacts:
        if lease is None:
            request = self._broker.request(owner_of(record), seat.request_id)
            return SeatFacts(request.state, waits_for=_wait_sentence(request))
        slices = {one.id for one in lease.slices}
        mine = [worker for name, worker in workers.items() if name in slices]
        return SeatFacts(
            "granted",
            ended=lease.end_reason if lease.state == "ended" else None,
            load=(sum(one.tasks or 0 for one in mine), sum(one.host_bytes or 0 for one in mine)),
            occupied=bool(mine),
        )

    def in_use(self, record: ClusterRecord) -> list[wire.Lease]:
        """Leases that a worker is to be on."""
        staying = {seat.request_id for seat in record.seats if seat.leaving_since is None}
        found = self.leases(record)
        return [one for one in found.values() if one.id in staying and one.state != "ended"]

    def bind(self, record: ClusterRecord) -> None:
        """The cluster's process holds them, and lives."""
        owner = owner_of(record)
        alive = [one for one in self.leases(record).values() if one.state != "ended"]
        for lease in alive:
            if lease.holder is None or lease.holder.pid != record.pid:
                holder = wire.Holder(
                    kind="cluster",
                    id=record.id,
                    name=record.name,
                    pid=record.pid,
                    started=record.started,
                )
                self._broker.bind(owner, lease.id, holder)
        self._broker.heartbeat(owner, [one.id for one in alive])

    def give_back(
        self, record: ClusterRecord, requests: Sequence[int], leases: Sequence[int]
    ) -> None:
        owner = owner_of(record)
        for number in requests:
            if self._broker.cancel(owner, number).state == "granted":  # only just now
                self._broker.release(owner, number)
        for number in leases:
            self._broker.release(owner, number)

    def give_all_back(self, record: ClusterRecord, reason: wire.EndReason) -> None:
        owner = owner_of(record)
        for seat in record.seats:
            if self._broker.cancel(owner, seat.request_id).state == "granted":
                self._broker.release(owner, seat.request_id, reason)


def owner_of(record: ClusterRecord) -> Principal:
    return Principal(record.owner, record.groups)


def _wait_sentence(request: wire.Request) -> str:
    reason = request.reason.sentence if request.reason else ""
    place = f"position {request.position}" if request.position else ""
    return f"{place}: {reason}" if place and reason else place or reason
