"""The clusters that the store knows, in memory: changed by writing down first, told after that."""

from __future__ import annotations

from pathlib import Path

import msgspec

from gpu_workbench import protocol as wire

from ..domain.clusters import OVER, ClusterRecord
from ..errors import NotFound
from ..ports import Clock, EventSink, News, Principal, Record, Store
from .cluster_files import ClusterFiles

_SILENT_SECONDS = 15.0
"""A cluster speaks every 2 s; one that is silent for so long is said to be."""
_REMEMBERED = 20
"""Clusters that are over and still shown."""


class ClusterRecords:
    """Reads may come from any thread; whoever writes holds the service's lock."""

    def __init__(self, store: Store, sink: EventSink, clock: Clock, root: Path) -> None:
        self._store = store
        self._sink = sink
        self._clock = clock
        self._root = root
        found = [msgspec.convert(one.body, ClusterRecord) for one in store.records("cluster")]
        self._records = {one.id: one for one in sorted(found, key=lambda one: one.created_at)}
        self._told: dict[str, wire.Cluster] = {}

    def living(self) -> list[ClusterRecord]:
        """Those that are not over, oldest first."""
        return [one for one in list(self._records.values()) if one.state not in OVER]

    def shown_to(self, who: Principal) -> list[ClusterRecord]:
        """Newest first: all that live, and some that are over."""
        mine = [one for one in reversed(list(self._records.values())) if may_see(who, one)]
        forgotten = {one.id for one in [one for one in mine if one.state in OVER][_REMEMBERED:]}
        return [one for one in mine if one.id not in forgotten]

    def own(self, who: Principal, cluster_id: str) -> ClusterRecord:
        """Raises `NotFound` also for somebody else's."""
        record = self._records.get(cluster_id)
        if record is None or not may_see(who, record):
            raise NotFound(f"There is no cluster {cluster_id} of yours.", "List your clusters.")
        return record

    def newest(self, record: ClusterRecord) -> ClusterRecord:
        """The record as it is by now."""
        return self._records[record.id]

    def names(self, who: Principal) -> set[str]:
        """Of the caller's clusters that live."""
        return {one.name for one in self.living() if one.owner == who.user}

    def files(self, record: ClusterRecord) -> ClusterFiles:
        """Its directory; ids are ours, so they can't lead out of the root."""
        return ClusterFiles(self._root / record.id)

    def put(self, record: ClusterRecord) -> ClusterRecord:
        """Into the store, then into memory; nothing where nothing is new."""
        if self._records.get(record.id) != record:
            body = msgspec.to_builtins(record)
            now = self._clock.now()
            self._store.put_record(Record("cluster", record.id, record.owner, body, now))
            self._records[record.id] = record
        return record

    def tell(self, record: ClusterRecord) -> None:
        """News, if people would see anything new."""
        seen = self.view(record)
        if self._told.get(record.id) != seen:
            self._told[record.id] = seen
            self._sink.tell(News("cluster", record.id, record.owner, seen))

    def view(self, record: ClusterRecord) -> wire.Cluster:
        live = record.state in ("starting", "running")
        status = self.files(record).status() if live else None
        return wire.Cluster(
            id=record.id,
            name=record.name,
            state=record.state,
            user=record.owner,
            lease_id=record.request_id if record.leased else None,
            request_id=record.request_id,
            per_worker=record.per_worker,
            workers_wanted=record.workers_wanted,
            workers=status.workers if status else [],
            created_at=record.created_at,
            message=self._message(record, status),
            scheduler_address=status.scheduler_address if status else None,
            security=status.security if status else None,
            ended_at=record.ended_at,
        )

    def _message(self, record: ClusterRecord, status: wire.ClusterStatus | None) -> str:
        if status is None:
            return record.message
        if self._clock.now() - status.updated_at > _SILENT_SECONDS:
            return "not heard from for some time: its scheduler is very busy or stuck"
        return status.message


def may_see(who: Principal, record: ClusterRecord) -> bool:
    return who.admin or who.user == record.owner
