"""The store in memory: a real, small one for tests and for simulation. Nothing survives it.

Keeps the same promises as `sql.SqlStore`, and refuses what that one's constraints refuse.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar

from ..domain.decisions import Change
from ..domain.leases import Lease, LedgerEntry, Request
from ..domain.reservations import Reservation
from ..domain.units import PARTS
from ..errors import StoreTrouble
from ..ports import AuditEntry, Record, RecordKind, Snapshot
from .occupancy import moved_parts
from .rows import plain
from .succession import lease_fault, refused, request_fault, reservation_fault

_K = TypeVar("_K")
_V = TypeVar("_V")


@dataclass
class _Data:
    """Everything, and how to take back what the commit in progress has done."""

    requests: dict[int, Request] = field(default_factory=dict)
    keys: dict[tuple[str, str], int] = field(default_factory=dict)
    leases: dict[int, Lease] = field(default_factory=dict)
    reservations: dict[int, Reservation] = field(default_factory=dict)
    occupancy: dict[str, int] = field(default_factory=dict)
    ledger: dict[int, LedgerEntry] = field(default_factory=dict)
    audit: list[AuditEntry] = field(default_factory=list)
    records: dict[tuple[str, str], Record] = field(default_factory=dict)
    undo: list[Callable[[], object]] = field(default_factory=list)

    def put(self, change: Change) -> None:
        if change.request is not None:
            self._put_request(change.request)
        if change.lease is not None:
            self._put_lease(change.lease)
        if change.reservation is not None:
            self._put_reservation(change.reservation)
        if change.ledger is not None:
            if change.ledger.lease_id in self.ledger:
                raise refused(f"lease {change.ledger.lease_id} is in the ledger already")
            self._set(self.ledger, change.ledger.lease_id, change.ledger)

    def _put_request(self, request: Request) -> None:
        fault = request_fault(self.requests.get(request.id), request)
        if fault:
            raise refused(fault)
        if request.key is not None:
            key = (request.user, request.key)
            if self.keys.get(key, request.id) != request.id:
                raise refused(f"{request.user} used the key {request.key} before")
            self._set(self.keys, key, request.id)
        self._set(self.requests, request.id, request)

    def _put_lease(self, lease: Lease) -> None:
        fault = lease_fault(self.leases.get(lease.id), lease)
        if fault:
            raise refused(fault)
        if lease.cleared and lease.state != "ended":
            raise refused(f"lease {lease.id} is {lease.state} and cleared")
        if (lease.state == "ended") != (lease.ended_at is not None):
            raise refused(f"lease {lease.id} is {lease.state} and its end is {lease.ended_at}")
        for device, parts in moved_parts(self.leases.get(lease.id), lease).items():
            taken = self.occupancy.get(device, 0) + parts
            if not 0 <= taken <= PARTS:
                raise refused(f"device {device} would be granted twice")
            self._set(self.occupancy, device, taken)
        self._set(self.leases, lease.id, lease)

    def _put_reservation(self, one: Reservation) -> None:
        fault = reservation_fault(self.reservations.get(one.id), one)
        if fault is None and not one.start < one.end:
            fault = f"reservation {one.id} ends before it begins"
        others = (other for other in self.reservations.values() if other.id != one.id)
        if any((one.owner, one.key) == (o.owner, o.key) for o in others if o.key is not None):
            fault = f"{one.owner} used the key {one.key} before"
        if fault:
            raise refused(fault)
        self._set(self.reservations, one.id, one)

    def _set(self, table: dict[_K, _V], key: _K, value: _V) -> None:
        if key in table:
            self.undo.append(partial(table.__setitem__, key, table[key]))
        else:
            self.undo.append(partial(table.__delitem__, key))
        table[key] = value


class MemoryStore:
    """`ports.Store` in dictionaries."""

    def __init__(self) -> None:
        self._data = _Data()
        self._lock = threading.RLock()

    def load(self) -> Snapshot:
        with self._lock:
            data = self._data
            return Snapshot(
                requests=tuple(
                    data.requests[i]
                    for i in sorted(data.requests)
                    if data.requests[i].state == "queued"
                ),
                leases=tuple(
                    data.leases[i] for i in sorted(data.leases) if not data.leases[i].cleared
                ),
                reservations=tuple(
                    one for _, one in sorted(data.reservations.items()) if one.state == "booked"
                ),
                next_id=max((0, *data.requests, *data.leases, *data.ledger, *data.reservations))
                + 1,
            )

    def commit(self, changes: Sequence[Change], audit: Sequence[AuditEntry] = ()) -> None:
        with self._lock:
            self._data.undo.clear()
            try:
                for change in changes:
                    self._data.put(change)
            except StoreTrouble:
                for take_back in reversed(self._data.undo):
                    take_back()
                raise
            self._data.audit.extend(audit)

    def find_request(self, user: str, key: str) -> Request | None:
        with self._lock:
            known = self._data.keys.get((user, key))
            return None if known is None else self._data.requests[known]

    def find_reservation(self, owner: str, key: str) -> Reservation | None:
        with self._lock:
            found = self._data.reservations.values()
            return next((one for one in found if (one.owner, one.key) == (owner, key)), None)

    def request(self, request_id: int) -> Request | None:
        return self._data.requests.get(request_id)

    def lease(self, lease_id: int) -> Lease | None:
        return self._data.leases.get(lease_id)

    def recent_leases(self, user: str | None, limit: int = 100) -> list[Lease]:
        with self._lock:
            newest = sorted(self._data.leases.values(), key=lambda lease: -lease.id)
        return [lease for lease in newest if user in (None, lease.user)][:limit]

    def ledger(
        self, user: str | None = None, since: float = 0.0, until: float | None = None
    ) -> list[LedgerEntry]:
        with self._lock:
            found = sorted(self._data.ledger.values(), key=lambda one: (one.end, one.lease_id))
        return [
            one
            for one in found
            if user in (None, one.user) and one.end >= since and (until is None or one.end < until)
        ]

    def asked_at(self, user: str | None = None, since: float = 0.0) -> Mapping[int, float]:
        with self._lock:
            requests, ledger = dict(self._data.requests), dict(self._data.ledger)
        return {
            one.id: one.created_at
            for one in requests.values()
            if one.state == "granted"
            and user in (None, one.user)
            and (one.id not in ledger or ledger[one.id].end >= since)
        }

    def audit(self, limit: int = 200) -> list[AuditEntry]:
        with self._lock:
            return self._data.audit[::-1][:limit]

    def put_record(self, record: Record) -> None:
        body = plain(record)
        with self._lock:
            self._data.records[record.kind, record.id] = replace(record, body=body)

    def records(
        self, kind: RecordKind, limit: int | None = 500, state_not_in: Collection[str] = ()
    ) -> list[Record]:
        with self._lock:
            found = [
                one
                for one in self._data.records.values()
                if one.kind == kind and one.body.get("state") not in state_not_in
            ]
        return sorted(found, key=lambda one: (one.updated_at, one.id), reverse=True)[:limit]

    def close(self) -> None:
        """Nothing to close."""
