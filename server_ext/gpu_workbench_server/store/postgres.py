"""What only PostgreSQL needs: how to connect, take turns, and know whether a commit arrived.

The one module with PostgreSQL's own SQL; every other module of the store speaks to any database.
psycopg is in the extra `hub`.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from . import WRITES

BUSY_SECONDS = 10.0
"""How long a writer waits for another one's transaction, and a broken commit for its server."""

_TURN = 0x6770_7577_6F72_6B62
"""Of the advisory lock that writers take in turn ("gpuworkb"); per database."""

_XACT = "gpu_workbench_xact"

# A host that vanished without a word must not hang the broker: it is noticed within some 15 s.
_PATIENCE = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 2,
    "tcp_user_timeout": 15_000,
    "application_name": "gpu-workbench",
}


def is_postgres(url: sa.URL) -> bool:
    return url.get_backend_name() == "postgresql"


def with_driver(url: str) -> str:
    """`postgresql://` and `postgres://`, as everybody writes them, mean psycopg 3 here."""
    scheme, _, rest = url.partition("://")
    return f"postgresql+psycopg://{rest}" if scheme in ("postgres", "postgresql") else url


def options(url: sa.URL) -> dict[str, Any]:
    """Arguments for `create_engine`; what the URL itself says goes before ours."""
    ours = {name: value for name, value in _PATIENCE.items() if name not in url.query}
    # A server that was restarted is found again before the call, not by a failing one.
    return {"connect_args": ours, "pool_pre_ping": True}


def prepare(engine: sa.Engine, *, read_only: bool) -> None:
    """Hook the session's settings and the writers' turn into the engine."""

    @sa.event.listens_for(engine, "connect")
    def connected(connection: Any, _: Any) -> None:
        settings = (
            f"lock_timeout = '{BUSY_SECONDS:g}s'",
            "idle_in_transaction_session_timeout = '60s'",  # a stopped broker blocks nobody
            "synchronous_commit = on",  # an acknowledged commit survives a power cut
            f"default_transaction_read_only = {'on' if read_only else 'off'}",
        )
        with connection.cursor() as cursor:
            cursor.execute("; ".join(f"SET {setting}" for setting in settings))
        connection.commit()

    @sa.event.listens_for(engine, "begin")
    def began(connection: sa.Connection) -> None:
        # As SQLite's BEGIN IMMEDIATE: read, check and write are one piece. Each statement after
        # this one sees what the writer before has committed.
        if connection.get_execution_options().get(WRITES, False):
            turn = f"SELECT pg_advisory_xact_lock({_TURN}), pg_current_xact_id()::text"
            connection.info[_XACT] = connection.exec_driver_sql(turn).one()[1]


def reading(engine: sa.Engine) -> sa.Engine:
    """An engine whose transactions see one moment, however many queries they make."""
    return engine.execution_options(isolation_level="REPEATABLE READ")


def xact(connection: sa.Connection) -> str:
    """The id of the writing transaction, to ask for later."""
    return str(connection.info[_XACT])


def arrived(engine: sa.Engine, xact: str) -> bool | None:
    """Whether a transaction was committed whose connection broke during COMMIT.

    Asks for up to `BUSY_SECONDS`; None where the server does not come back in time.
    """
    deadline = time.monotonic() + BUSY_SECONDS
    query = sa.text("SELECT pg_xact_status(CAST(:xact AS xid8))")
    while True:
        try:
            with engine.connect() as connection:
                status = connection.execute(query, {"xact": xact}).scalar()
            if status in ("committed", "aborted"):
                return bool(status == "committed")
        except SQLAlchemyError:
            pass  # not back yet
        if time.monotonic() > deadline:
            return None
        time.sleep(0.1)


def append_only(tables: Iterable[str]) -> list[str]:
    """Statements that make UPDATE, DELETE and TRUNCATE on these tables fail."""
    function = (
        "CREATE FUNCTION gpu_workbench_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME; END $$"
    )
    return [
        function,
        *(
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION gpu_workbench_append_only()"
            for table in tables
        ),
    ]
