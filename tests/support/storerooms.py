"""Where a broker's store is kept in a test, so that it can be closed, opened again and looked into.

`trusting` rooms have no guard of their own against a double grant: what is wrong in them must be
found by whoever checks.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import sqlalchemy as sa

from gpu_workbench_server.ports import Store
from gpu_workbench_server.store import FILE_NAME
from gpu_workbench_server.store.memory import MemoryStore
from gpu_workbench_server.store.sql import SqlStore

from .postgres import Postgres
from .scratch import scratch


class StoreRoom(Protocol):
    def open(self) -> Store:
        """The store with all that was written in it, opened anew."""

    def rows(self, query: str) -> list[Any] | None:
        """What SQL finds in it; None where there is no SQL."""

    def close(self) -> None: ...


class MemoryRoom:
    """The store is the same for ever: memory is all that it has."""

    def __init__(self) -> None:
        self._store = MemoryStore()

    def open(self) -> Store:
        return self._store

    def rows(self, query: str) -> None:
        return None

    def close(self) -> None: ...


class SqlRoom:
    """A database, looked into over a connection that is not the store's."""

    def __init__(self, url: str, *, trusting: bool = False) -> None:
        self.url = url
        self.trusting = trusting
        self._store = SqlStore.open(url)
        self._looking = self._store.engine.connect()

    def open(self) -> Store:
        """Without the checks of `SqlStore.open`, which take a while: it was opened properly."""
        self._looking.close()
        self._store.close()
        self._store = SqlStore(self._store.url)
        if self._store.engine.dialect.name == "sqlite":

            @sa.event.listens_for(self._store.engine, "connect")
            def connected(connection: Any, _: Any) -> None:
                # Power cuts are for other tests, and waiting for the disk is most of the time.
                connection.execute("PRAGMA synchronous = OFF")
                connection.execute(f"PRAGMA ignore_check_constraints = {int(self.trusting)}")

        self._looking = self._store.engine.connect()
        return self._store

    def rows(self, query: str) -> list[Any]:
        found = list(self._looking.execute(sa.text(query)))
        self._looking.rollback()
        return found

    def close(self) -> None:
        self._looking.close()
        self._store.close()


@cache
def _migrated() -> bytes:
    """An empty SQLite store: making one takes longer than a hundred steps on it."""
    with tempfile.TemporaryDirectory() as folder:
        SqlStore.open(Path(folder)).close()
        return (Path(folder) / FILE_NAME).read_bytes()


@contextmanager
def sqlite_room(*, trusting: bool = False) -> Iterator[SqlRoom]:
    folder = scratch("room-", 100 << 20)
    try:
        (folder / FILE_NAME).write_bytes(_migrated())
        room = SqlRoom(f"sqlite:///{folder / FILE_NAME}", trusting=trusting)
        yield room
        room.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def postgres_room(server: Postgres) -> Iterator[SqlRoom]:
    url = server.database()
    room = SqlRoom(url)
    try:
        yield room
    finally:
        room.close()
        server.sql(f"DROP DATABASE {sa.make_url(url).database} WITH (FORCE)")


@contextmanager
def memory_room() -> Iterator[MemoryRoom]:
    yield MemoryRoom()
