"""The store in an SQL database: SQLite beside the server, or PostgreSQL by its URL.

Knows `ports.Store` and its tables; decides nothing. A commit is one transaction that either is on
disk when the call returns or has not happened. Calls may come from any thread and any process:
readers read side by side, writers queue up.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from ..domain.decisions import Change
from ..domain.leases import Lease, LedgerEntry, Request, Slice
from ..domain.reservations import Reservation
from ..errors import StoreTrouble
from ..ports import AuditEntry, Record, RecordKind, Snapshot
from . import FILE_NAME, WRITES, migrate, postgres, rows, sqlite, tables
from .occupancy import moved_parts
from .sole import SoleBroker
from .succession import lease_fault, refused, request_fault, reservation_fault
from .troubles import damaged_hint, guarded, shown, unsure


class SqlStore:
    """`ports.Store` over SQLAlchemy Core. `SqlStore.open` is the usual way in."""

    def __init__(self, url: str | sa.URL, *, read_only: bool = False) -> None:
        """Connects lazily and expects this version's tables: see `open`."""
        self.url = sa.make_url(url)
        self._postgres = postgres.is_postgres(self.url)
        if self._postgres:
            self.engine = sa.create_engine(self.url, **postgres.options(self.url))
            postgres.prepare(self.engine, read_only=read_only)
            self._reader = postgres.reading(self.engine)
        else:
            self.engine = self._reader = sa.create_engine(self.url)
            sqlite.prepare(self.engine, read_only=read_only)
        self._writer = self.engine.execution_options(**{WRITES: True})
        # Within a process, writers wait for each other here: fair, and woken at once. Between
        # processes the database's own lock counts.
        self._lock = threading.Lock()
        self._sole = SoleBroker(self.engine, shown(self.url)) if self._postgres else None

    @classmethod
    def open(cls, where: str | Path, *, read_only: bool = False) -> SqlStore:
        """Open a database and bring its tables up to date, checked.

        `where` is a directory (the file in it is `FILE_NAME`), a file, or a URL: `sqlite:///…`, or
        `postgresql://user:password@host/database` with the extra `hub` installed. Raises
        `StoreTrouble` where it can't be read, is damaged or is of a newer version; nothing is
        changed then, and nothing is ever deleted. `read_only` changes nothing at all.
        """
        url = _url(where)
        path = sqlite.file_of(url)
        with guarded(url, "opened"):
            if read_only and path is not None and not path.exists():
                raise StoreTrouble(
                    f"There is no store {path} yet.", "It is made when the server starts."
                )
            if path is not None and not read_only:
                sqlite.make_private(path)
            store = cls(url, read_only=read_only)
        try:
            with guarded(url, "opened"):
                store._prepare(read_only)
        except StoreTrouble:
            store.close()
            raise
        return store

    def _prepare(self, read_only: bool) -> None:
        if sqlite.is_sqlite(self.engine) and not read_only:
            sqlite.use_wal(self.engine)
        with self.engine.connect() as connection:
            if sqlite.is_sqlite(self.engine):
                faults = sqlite.faults(connection)
                if faults:
                    raise StoreTrouble(
                        f"The broker's store {self.url.database} is damaged: {faults[0]}.",
                        damaged_hint(self.url),
                    )
            current = migrate.check(connection)
        if current:
            return
        if read_only:
            raise StoreTrouble(
                f"The broker's store {self.url.database} is of an older version.",
                "Nothing was changed. Start the Jupyter server once: it brings the store up to "
                "date.",
            )
        with self._writer.begin() as connection:
            migrate.upgrade(connection)

    def hold(self) -> None:
        """Be the only broker on this database, until `close`; `BrokerBusy` where there is one.

        A file is held by the lock of its directory, see `lock`.
        """
        if self._sole is not None:
            with guarded(self.url, "held"):
                self._sole.take()

    @property
    def name(self) -> str:
        """As people may see it: a file, or the URL without its password."""
        return shown(self.url)

    @property
    def file(self) -> Path | None:
        """SQLite's file; None for a database server."""
        return sqlite.file_of(self.url)

    def close(self) -> None:
        """Close all connections. Idempotent; a later call opens them again."""
        if self._sole is not None:
            self._sole.release()
        self.engine.dispose()

    # --- writing ------------------------------------------------------------------------------

    def commit(self, changes: Sequence[Change], audit: Sequence[AuditEntry] = ()) -> None:
        with self._writing() as connection:
            for change in changes:
                if change.request is not None:
                    _put_request(connection, change.request)
                if change.lease is not None:
                    _put_lease(connection, change.lease)
                if change.reservation is not None:
                    _put_reservation(connection, change.reservation)
                if change.ledger is not None:
                    _insert(connection, tables.ledger, [rows.ledger_row(change.ledger)])
            _insert(connection, tables.audit, [rows.audit_row(entry) for entry in audit])

    def put_record(self, record: Record) -> None:
        with self._writing() as connection:
            row = rows.record_row(record)
            _put(connection, tables.records, row, known=_exists(connection, record))

    # --- reading ------------------------------------------------------------------------------

    def load(self) -> Snapshot:
        queued = sa.select(tables.requests).where(tables.requests.c.state == "queued")
        held = sa.select(tables.leases).where(~tables.leases.c.cleared)
        columns = tables.reservations.c
        booked = sa.select(tables.reservations).where(columns.state == "booked")
        with self._reading() as connection:
            newest = [
                connection.execute(sa.select(sa.func.max(column))).scalar() or 0
                for column in (
                    tables.requests.c.id,
                    tables.leases.c.id,
                    tables.ledger.c.lease_id,
                    columns.id,
                )
            ]
            found = rows.mappings(connection.execute(queued.order_by(tables.requests.c.id)))
            ahead = rows.mappings(connection.execute(booked.order_by(columns.id)))
            return Snapshot(
                requests=tuple(rows.request_of(row) for row in found),
                leases=tuple(_leases(connection, held.order_by(tables.leases.c.id))),
                reservations=tuple(rows.reservation_of(row) for row in ahead),
                next_id=max(newest) + 1,
            )

    def find_request(self, user: str, key: str) -> Request | None:
        columns = tables.requests.c
        return self._request(sa.and_(columns.user == user, columns.key == key))

    def find_reservation(self, owner: str, key: str) -> Reservation | None:
        columns = tables.reservations.c
        with self._reading() as connection:
            return _reservation(connection, sa.and_(columns.owner == owner, columns.key == key))

    def request(self, request_id: int) -> Request | None:
        return self._request(tables.requests.c.id == request_id)

    def lease(self, lease_id: int) -> Lease | None:
        with self._reading() as connection:
            return _lease(connection, lease_id)

    def recent_leases(self, user: str | None, limit: int = 100) -> list[Lease]:
        query = sa.select(tables.leases).order_by(tables.leases.c.id.desc()).limit(limit)
        if user is not None:
            query = query.where(tables.leases.c.user == user)
        with self._reading() as connection:
            return _leases(connection, query)

    def ledger(
        self, user: str | None = None, since: float = 0.0, until: float | None = None
    ) -> list[LedgerEntry]:
        columns = tables.ledger.c
        query = sa.select(tables.ledger).where(columns.end >= since)
        if user is not None:
            query = query.where(columns.user == user)
        if until is not None:
            query = query.where(columns.end < until)
        with self._reading() as connection:
            found = connection.execute(query.order_by(columns.end, columns.lease_id))
            return [rows.ledger_of(row) for row in rows.mappings(found)]

    def asked_at(self, user: str | None = None, since: float = 0.0) -> Mapping[int, float]:
        asked, ends = tables.requests.c, tables.ledger.c
        query = (
            sa.select(asked.id, asked.created_at)
            .outerjoin(tables.ledger, ends.lease_id == asked.id)
            .where(asked.state == "granted", sa.or_(ends.end.is_(None), ends.end >= since))
        )
        if user is not None:
            query = query.where(asked.user == user)
        with self._reading() as connection:
            return {number: at for number, at in connection.execute(query)}

    def audit(self, limit: int = 200) -> list[AuditEntry]:
        query = sa.select(tables.audit).order_by(tables.audit.c.seq.desc()).limit(limit)
        with self._reading() as connection:
            return [rows.audit_of(row) for row in rows.mappings(connection.execute(query))]

    def records(
        self, kind: RecordKind, limit: int | None = 500, state_not_in: Collection[str] = ()
    ) -> list[Record]:
        columns = tables.records.c
        query = (
            sa.select(tables.records)
            .where(columns.kind == kind)
            .order_by(columns.updated_at.desc(), columns.id.desc())
            .limit(limit)
        )
        if state_not_in:
            state = sa.func.coalesce(columns.body["state"].as_string(), "")
            query = query.where(state.not_in(state_not_in))
        with self._reading() as connection:
            return [rows.record_of(row) for row in rows.mappings(connection.execute(query))]

    # --- inside -------------------------------------------------------------------------------

    def _request(self, where: sa.ColumnElement[bool]) -> Request | None:
        with self._reading() as connection:
            return _request(connection, where)

    @contextmanager
    def _writing(self) -> Iterator[sa.Connection]:
        guard = guarded(self.url, "written")
        with self._lock, guard, self._writer.connect() as connection, connection.begin() as all_of:
            if self._sole is not None:
                self._sole.confirm(connection)
            yield connection
            if self._postgres:
                self._surely(connection, all_of)

    def _surely(self, connection: sa.Connection, all_of: sa.RootTransaction) -> None:
        """Commit; where the connection breaks in it, find out whether the commit arrived."""
        xact = postgres.xact(connection)
        try:
            all_of.commit()
        except DBAPIError as error:
            if not error.connection_invalidated:
                raise
            done = postgres.arrived(self.engine, xact)
            if done is None:
                raise unsure(self.url, error) from error
            if not done:
                raise

    @contextmanager
    def _reading(self) -> Iterator[sa.Connection]:
        with guarded(self.url, "read"), self._reader.connect() as connection:
            yield connection


def _url(where: str | Path) -> sa.URL:
    if isinstance(where, str) and "://" in where:
        try:
            url = sa.make_url(postgres.with_driver(where))
        except (SQLAlchemyError, ValueError) as error:
            raise _no_such_url("It can't be read as a URL") from error  # it may hold a password
        if url.drivername not in ("sqlite", "sqlite+pysqlite", "postgresql+psycopg"):
            raise _no_such_url(f"{url.drivername} is not supported")
        return url
    path = Path(where).expanduser().absolute()
    if path.is_dir() or not path.suffix:
        path /= FILE_NAME
    return sa.URL.create("sqlite", database=str(path))


def _no_such_url(why: str) -> StoreTrouble:
    return StoreTrouble(
        f"The broker's store can't be opened: {why}.",
        "Give a directory, a file, sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE.",
    )


def _insert(connection: sa.Connection, table: sa.Table, new: list[rows.Row]) -> None:
    if new:
        connection.execute(sa.insert(table), new)


# Built once: putting a statement together costs more than running it.
_SAME = {
    table.name: sa.update(table).where(
        *(column == sa.bindparam(f"key_{column.name}") for column in table.primary_key)
    )
    for table in (tables.requests, tables.leases, tables.reservations, tables.records)
}
_RECORD = sa.select(tables.records.c.id).where(
    tables.records.c.kind == sa.bindparam("kind"), tables.records.c.id == sa.bindparam("id")
)
_SLICES_OF = sa.delete(tables.slices).where(tables.slices.c.lease_id == sa.bindparam("lease"))
_HELD = tables.occupancy.c
_OCCUPY = (
    sa.update(tables.occupancy)
    .where(_HELD.device == sa.bindparam("here"))
    .values(parts=_HELD.parts + sa.bindparam("more"))
)
_VACATE = sa.delete(tables.occupancy).where(_HELD.device == sa.bindparam("here"), _HELD.parts == 0)


def _put(connection: sa.Connection, table: sa.Table, row: rows.Row, *, known: bool) -> None:
    """Replace the row of this key where it is known, or insert it."""
    if not known:
        return _insert(connection, table, [row])
    keys = {column.name for column in table.primary_key}
    named = {f"key_{name}" if name in keys else name: value for name, value in row.items()}
    connection.execute(_SAME[table.name], named)


def _exists(connection: sa.Connection, record: Record) -> bool:
    keys = {"kind": record.kind, "id": record.id}
    return connection.execute(_RECORD, keys).first() is not None


def _put_request(connection: sa.Connection, request: Request) -> None:
    old = _request(connection, tables.requests.c.id == request.id)
    fault = request_fault(old, request)
    if fault:
        raise refused(fault)
    if request != old:
        _put(connection, tables.requests, rows.request_row(request), known=old is not None)


def _put_reservation(connection: sa.Connection, one: Reservation) -> None:
    old = _reservation(connection, tables.reservations.c.id == one.id)
    fault = reservation_fault(old, one)
    if fault:
        raise refused(fault)
    _put(connection, tables.reservations, rows.reservation_row(one), known=old is not None)


def _put_lease(connection: sa.Connection, lease: Lease) -> None:
    old = _lease(connection, lease.id)
    fault = lease_fault(old, lease)
    if fault:
        raise refused(fault)
    _put(connection, tables.leases, rows.lease_row(lease), known=old is not None)
    if old is not None and old.slices != lease.slices:
        connection.execute(_SLICES_OF, {"lease": lease.id})
    if old is None or old.slices != lease.slices:
        _insert(connection, tables.slices, rows.slice_rows(lease))
    for device, parts in moved_parts(old, lease).items():
        # The table's check refuses what would be more than the device.
        if connection.execute(_OCCUPY, {"here": device, "more": parts}).rowcount == 0:
            _insert(connection, tables.occupancy, [{"device": device, "parts": parts}])
        if parts < 0:
            connection.execute(_VACATE, {"here": device})


def _request(connection: sa.Connection, where: sa.ColumnElement[bool]) -> Request | None:
    found = rows.mappings(connection.execute(sa.select(tables.requests).where(where)))
    return rows.request_of(found[0]) if found else None


def _reservation(connection: sa.Connection, where: sa.ColumnElement[bool]) -> Reservation | None:
    found = rows.mappings(connection.execute(sa.select(tables.reservations).where(where)))
    return rows.reservation_of(found[0]) if found else None


def _lease(connection: sa.Connection, lease_id: int) -> Lease | None:
    found = _leases(connection, sa.select(tables.leases).where(tables.leases.c.id == lease_id))
    return found[0] if found else None


def _leases(connection: sa.Connection, query: sa.Select[Any]) -> list[Lease]:
    """The leases of a query over `leases`, in its order, with their slices: two queries in all."""
    found = rows.mappings(connection.execute(query))
    if not found:
        return []
    wanted = query.with_only_columns(tables.leases.c.id).subquery()
    order = (tables.slices.c.lease_id, tables.slices.c.position)
    cut = sa.select(tables.slices).join(wanted, wanted.c.id == tables.slices.c.lease_id)
    slices: dict[int, list[Slice]] = {}
    for row in rows.mappings(connection.execute(cut.order_by(*order))):
        slices.setdefault(row["lease_id"], []).append(rows.slice_of(row))
    return [rows.lease_of(row, slices.get(row["id"], ())) for row in found]
