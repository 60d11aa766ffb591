"""The clusters that the store knows, in memory: changed by writing down first, told after that."""

from __future__ import annotations

import logging
from pathlib import Path

import msgspec

from gpu_workbench import protocol as wire

from ..domain.clusters import OVER, ClusterRecord
from ..errors import NotFound
from ..ports import Clock, EventSink, News, Principal, Record, Store
from .cluster_files import ClusterFiles

log = logging.getLogger(__name__)

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
        # One that lives is never forgotten, however many newer ones there are.
        living = store.records("cluster", limit=None, state_not_in=OVER)
        known = {one.id: one for one in [*store.records("cluster"), *living]}
        found = [record for one in known.values() if (record := _read(one)) is not None]
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
            leases=[seat.request_id for seat in record.seats if seat.leased],
            per_worker=record.per_worker,
            pool=record.pool,
            workers_wanted=record.workers_wanted,
            workers=status.workers if status else [],
            created_at=record.created_at,
            message=self._message(record, status),
            adapt=bounds(record),
            tasks=status.tasks if status else None,
            idle_seconds=record.idle_seconds or None,
            idle_at=status.idle_at if status else None,
            scheduler_address=status.scheduler_address if status else None,
            dashboard_path=f"{wire.CLUSTERS_PATH}/{record.id}/dashboard/status"
            if status and status.dashboard_socket
            else None,
            security=status.security if status else None,
            ended_at=record.ended_at,
            notice=record.notice,
            notice_at=record.notice_at,
            size_hint=record.size_hint,
            size_profile=record.size_profile,
        )

    def dashboard(self, record: ClusterRecord) -> str | None:
        """The socket of its dashboard, while it runs."""
        if record.state not in ("starting", "running"):
            return None
        status = self.files(record).status()
        return status.dashboard_socket if status else None

    def _message(self, record: ClusterRecord, status: wire.ClusterStatus | None) -> str:
        """What it does, and what it waits for: "starting workers, 1 of 2 are up; waiting …"."""
        said = record.message if status is None else status.message
        if status is not None and self._clock.now() - status.updated_at > _SILENT_SECONDS:
            said = "not heard from for some time: its scheduler is very busy or stuck"
        if record.state in OVER or record.state == "stopping":
            return said
        staying = [seat for seat in record.seats if seat.leaving_since is None]
        held = sum(seat.leased for seat in staying)
        waits = record.waits_for
        if held < len(staying):
            waits = f"waiting for lease {held + 1} of {record.workers_wanted}: {waits}"
        return "; ".join(part for part in (said, waits) if part)


def _read(record: Record) -> ClusterRecord | None:
    """None for what another version wrote: its leases end like those of any dead holder."""
    try:
        return msgspec.convert(record.body, ClusterRecord)
    except msgspec.ValidationError as error:
        log.warning("cluster %s can't be read: %s", record.id, error)
        return None


def bounds(record: ClusterRecord) -> wire.Adapt | None:
    """Between which it chooses its number of workers by itself."""
    return wire.Adapt(minimum=record.adapt[0], maximum=record.adapt[1]) if record.adapt else None


def may_see(who: Principal, record: ClusterRecord) -> bool:
    return who.admin or who.user == record.owner
