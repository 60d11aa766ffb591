"""One broker per PostgreSQL database: a session's advisory lock, which no death leaves behind.

Two brokers that share a database would each decide from a memory that lacks what the other wrote.
So the first takes a lock in a session of its own and keeps that session; each of its transactions
looks whether the session still has it. Where the session is gone (the server was restarted, an
admin ended it), the lock is taken again or, where another broker was quicker, `BrokerBusy` says so.
"""

from __future__ import annotations

import threading

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from ..errors import BrokerBusy, StoreTrouble

_SOLE = 0x6770_7577
"""First half of the lock's key ("gpuw"), the second is 1; not the writers' turn."""
_TAKE = f"SELECT pg_try_advisory_lock({_SOLE}, 1), pg_backend_pid()"
_WHO = f"SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND classid = {_SOLE} AND granted"
_HELD = (
    "SELECT EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND granted AND "
    f"classid = {_SOLE} AND objid = 1 AND pid = %(pid)s AND "
    "database = (SELECT oid FROM pg_database WHERE datname = current_database()))"
)
_PATIENCE = (
    "SET tcp_keepalives_idle = 10",  # a machine that vanished keeps the lock for 20 s at most
    "SET tcp_keepalives_interval = 5",
    "SET tcp_keepalives_count = 2",
)


class SoleBroker:
    """Held from `take` to `release`, or to the end of the process or of the connection."""

    def __init__(self, engine: sa.Engine, name: str) -> None:
        """`name` is the database's, as people may see it."""
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._name = name
        self._session: sa.Connection | None = None
        self._pid = 0
        self._lock = threading.Lock()

    @property
    def taken(self) -> bool:
        return self._session is not None

    def take(self) -> None:
        """Raise `BrokerBusy` where another broker has it. Idempotent."""
        with self._lock:
            if self._session is not None:
                return
            session = self._engine.connect()
            try:
                for setting in _PATIENCE:
                    session.exec_driver_sql(setting)
                good, pid = session.exec_driver_sql(_TAKE).one()
            except SQLAlchemyError:
                session.invalidate()
                session.close()
                raise
            if not good:
                session.close()
                raise BrokerBusy(
                    f"Another server already manages the GPUs from the database {self._name}.",
                    "Use the GPU panel of that server, or stop it: this one takes over then. Two "
                    "servers need two databases.",
                )
            self._session, self._pid = session, pid

    def confirm(self, connection: sa.Connection) -> None:
        """Inside a transaction: nobody else has it. Raises `BrokerBusy`, or `StoreTrouble` where
        it was lost and could be taken again: what was known before is to be read again then."""
        if self._session is None:
            return
        if connection.exec_driver_sql(_HELD, {"pid": self._pid}).scalar():
            return
        self.release()
        self.take()
        raise StoreTrouble(
            f"The connection that kept the database {self._name} for this server was lost.",
            "Nothing was changed, and it is there again: try again.",
        )

    def release(self) -> None:
        """Idempotent."""
        with self._lock:
            session, self._session = self._session, None
        if session is not None:
            session.invalidate()  # not back to the pool: the lock belongs to the session
            session.close()
