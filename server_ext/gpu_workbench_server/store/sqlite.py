"""What only SQLite needs: how to connect, begin and keep history from being rewritten.

The one module with SQLite's own SQL; every other module of the store speaks to any database.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from . import WRITES

BUSY_SECONDS = 10.0
"""How long a writer waits for another process's transaction before it gives up."""


def is_sqlite(engine: sa.Engine) -> bool:
    return engine.dialect.name == "sqlite"


def file_of(url: sa.URL) -> Path | None:
    """The database's file; None where there is none."""
    if url.get_backend_name() != "sqlite" or not url.database or url.database == ":memory:":
        return None
    return Path(url.database)


def make_private(path: Path) -> None:
    """Create the file for its owner's eyes only: who holds what is nobody else's business.

    SQLite gives its -wal and -shm files the same mode.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))


def prepare(engine: sa.Engine, *, read_only: bool) -> None:
    """Hook the pragmas and an explicit BEGIN into the engine."""

    @sa.event.listens_for(engine, "connect")
    def connected(connection: Any, _: Any) -> None:
        # sqlite3 would begin by itself, late and deferred: take that over, also for DDL.
        connection.isolation_level = None
        for pragma in (
            f"busy_timeout = {int(BUSY_SECONDS * 1000)}",
            "foreign_keys = ON",
            "synchronous = FULL",  # an acknowledged commit survives a power cut
            f"query_only = {int(read_only)}",
        ):
            connection.execute(f"PRAGMA {pragma}").fetchall()

    @sa.event.listens_for(engine, "begin")
    def began(connection: sa.Connection) -> None:
        # A writer takes the write lock at once: read, check and write are one piece, and two
        # writers queue up instead of failing half-way with SQLITE_BUSY.
        writes = connection.get_execution_options().get(WRITES, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def use_wal(engine: sa.Engine) -> None:
    """Readers beside a writer, for good: the mode is kept in the file.

    A file system that can't do it (some network ones) keeps the old, slower and as safe mode.
    """
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            # Below SQLAlchemy: the mode can't change inside a transaction.
            with closing(engine.raw_connection()) as connection:
                connection.cursor().execute("PRAGMA journal_mode = WAL")
                return
        except sqlite3.OperationalError as error:
            # SQLite's busy timeout does not apply where two processes change the mode at once.
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def faults(connection: sa.Connection) -> list[str]:
    """What SQLite finds wrong with the file; empty is good. Reads the whole file."""
    found = connection.exec_driver_sql("PRAGMA quick_check(3)").scalars().all()
    return [str(line) for line in found if line != "ok"]


def append_only(tables: Iterable[str]) -> list[str]:
    """Statements that make UPDATE and DELETE on these tables fail."""
    return [
        f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
        f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        for table in tables
        for verb in ("UPDATE", "DELETE")
    ]
