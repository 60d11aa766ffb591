"""What only a store on a database server can promise: it survives the server's end, and says so."""

from __future__ import annotations

import os
import selectors
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from gpu_workbench_server.domain.decisions import Change
from gpu_workbench_server.errors import StoreTrouble
from gpu_workbench_server.ports import AuditEntry
from gpu_workbench_server.store import migrate, tables
from gpu_workbench_server.store import postgres as dialect
from gpu_workbench_server.store.sql import SqlStore
from tests.support.lab import free_port
from tests.support.leasing import a_lease, a_request, a_slice, ended, granted
from tests.support.postgres import Postgres
from tests.support.sqlstores import NO_SUCH_STATES, REWRITES, open_at_once, race_for_gpus

Server = Postgres


@pytest.fixture
def store(postgres: Postgres) -> Iterator[SqlStore]:
    opened = SqlStore.open(postgres.database())
    yield opened
    opened.close()


def refused(where: str) -> StoreTrouble:
    with pytest.raises(StoreTrouble) as caught:
        SqlStore.open(where)
    return caught.value


# --- the server goes and comes ------------------------------------------------------------------


@pytest.mark.parametrize("crash", [False, True])
def test_a_server_that_was_restarted_is_found_again_and_lost_nothing(
    postgres: Server, store: SqlStore, crash: bool
) -> None:
    lease = a_lease(1, a_slice("1.0"))
    store.commit(granted(lease))
    postgres.stop(crash=crash)
    try:
        with pytest.raises(StoreTrouble) as caught:
            store.commit([Change("queued", a_request(2))])
        assert "PostgreSQL runs" in caught.value.hint
        with pytest.raises(StoreTrouble):
            store.load()
    finally:
        postgres.start()
    assert store.load().leases == (lease,)
    store.commit([Change("queued", a_request(2))])
    assert store.load().requests == (a_request(2),)


def test_connections_that_an_admin_ended_are_made_again(postgres: Server, store: SqlStore) -> None:
    store.commit([Change("queued", a_request(1))])
    postgres.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
        f"AND datname = '{store.url.database}'"
    )
    store.commit([Change("queued", a_request(2))])
    assert [one.id for one in store.load().requests] == [1, 2]


class Between:
    """A socket between the store and the server that can lose a COMMIT or the answer to it."""

    def __init__(self, server: Path, folder: Path) -> None:
        self.server = server
        self.lose: str | None = None
        self.listening = socket.socket(socket.AF_UNIX)
        self.listening.bind(str(folder / server.name))
        self.listening.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self.listening.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(str(self.server))
                threading.Thread(target=self._carry, args=(client, server), daemon=True).start()

    def _carry(self, client: socket.socket, server: socket.socket) -> None:
        with selectors.DefaultSelector() as ready, client, server, suppress(OSError):
            ready.register(client, selectors.EVENT_READ, server)
            ready.register(server, selectors.EVENT_READ, client)
            while True:
                for key, _ in ready.select():
                    assert isinstance(key.fileobj, socket.socket)
                    data = key.fileobj.recv(65536)
                    if not data:
                        return
                    if self.lose and key.fileobj is client and b"COMMIT" in data:
                        lost, self.lose = self.lose, None
                        if lost == "answer":
                            server.sendall(data)
                            server.recv(65536)
                        return
                    key.data.sendall(data)

    def close(self) -> None:
        self.listening.close()


@pytest.mark.parametrize("lost", ["commit", "answer"])
def test_a_commit_whose_connection_broke_is_looked_up_and_never_guessed(
    postgres: Server, lost: str
) -> None:
    url = postgres.database()
    with TemporaryDirectory() as folder:
        between = Between(postgres.root / ".s.PGSQL.5432", Path(folder))
        with closing(between):
            store = SqlStore.open(url.replace(str(postgres.root), folder))
            store.commit([Change("queued", a_request(1))])
            between.lose = lost
            if lost == "answer":
                store.commit([Change("queued", a_request(2))])
            else:
                with pytest.raises(StoreTrouble):
                    store.commit([Change("queued", a_request(2))])
            assert between.lose is None, "nothing was lost"
            there = [one.id for one in store.load().requests]
            assert there == ([1, 2] if lost == "answer" else [1])
            store.commit([Change("queued", a_request(3))])
            store.close()


def test_a_commit_whose_server_stays_away_is_said_to_be_unknown(
    postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dialect, "BUSY_SECONDS", 0.5)
    url = postgres.database()
    with TemporaryDirectory() as folder:
        between = Between(postgres.root / ".s.PGSQL.5432", Path(folder))
        store = SqlStore.open(url.replace(str(postgres.root), folder))
        between.lose = "answer"
        between.close()  # the connection that is open goes on; no new one is made
        os.unlink(Path(folder) / ".s.PGSQL.5432")
        with pytest.raises(StoreTrouble) as caught:
            store.commit([Change("queued", a_request(1))])
        assert "not known" in caught.value.message
        store.close()


# --- opening ------------------------------------------------------------------------------------


def test_a_server_that_is_not_there_is_said(tmp_path: Path) -> None:
    pytest.importorskip("psycopg")
    trouble = refused(f"postgresql://ada:s3cret@127.0.0.1:{free_port()}/x")
    assert "PostgreSQL runs" in trouble.hint
    assert "s3cret" not in trouble.message
    assert "PostgreSQL runs" in refused(f"postgresql:///x?host={tmp_path}").hint


def test_a_wrong_password_is_said_and_never_shown(postgres: Server) -> None:
    postgres.sql("CREATE ROLE locked LOGIN PASSWORD 'right'")
    trouble = refused(postgres.url("postgres", "locked", "wr0ng"))
    assert "password" in trouble.message
    assert "wr0ng" not in trouble.message + trouble.hint
    assert "user and password" in trouble.hint
    assert "user and password" in refused(postgres.url("postgres", "locked")).hint


def test_a_database_that_does_not_exist_is_said_with_how_to_make_it(postgres: Server) -> None:
    assert "createdb nowhere" in refused(postgres.url("nowhere")).hint


def test_a_user_without_rights_is_said(postgres: Server) -> None:
    url = postgres.database(migrated=False)
    name = sa.make_url(url).database
    postgres.sql("CREATE ROLE guest LOGIN PASSWORD 'guest'")
    trouble = refused(postgres.url(str(name), "guest", "guest"))
    assert "Grant guest" in trouble.hint


def test_a_url_that_is_none_or_of_another_database_is_refused() -> None:
    for url in (
        "postgresql://u:s3cret@h:port/x",
        "mysql://u:s3cret@h/x",
        "mongodb+srv://u:s3cret@",
    ):
        trouble = refused(url)
        assert "s3cret" not in trouble.message
        assert "postgresql://USER" in trouble.hint


def test_without_psycopg_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    assert "[hub]" in refused("postgresql://127.0.0.1/x").hint


def test_somebody_elses_tables_are_left_alone(postgres: Server) -> None:
    url = postgres.database(migrated=False)
    name = str(sa.make_url(url).database)
    postgres.sql("CREATE TABLE leases (flat TEXT)", name)
    assert "tables of our names" in refused(url).message
    tables_now = "SELECT string_agg(tablename, ',') FROM pg_tables WHERE schemaname = 'public'"
    assert postgres.sql(tables_now, name) == "leases"


def test_a_database_of_a_newer_version_is_refused_with_a_hint(
    postgres: Server, store: SqlStore
) -> None:
    postgres.sql("UPDATE alembic_version SET version_num = '9999'", str(store.url.database))
    trouble = refused(store.url.render_as_string(hide_password=False))
    assert "newer" in trouble.message
    assert "Upgrade" in trouble.hint


def test_a_migration_that_fails_leaves_an_empty_database(
    postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = postgres.database(migrated=False)
    broken = ["CREATE TRIGGER nonsense"]
    monkeypatch.setattr(dialect, "append_only", lambda names: broken)
    refused(url)
    name = str(sa.make_url(url).database)
    assert postgres.sql("SELECT count(*) FROM pg_tables WHERE schemaname='public'", name) == "0"
    monkeypatch.undo()
    SqlStore.open(url).close()


def test_all_that_open_a_new_database_at_once_get_it(postgres: Server) -> None:
    open_at_once(postgres.database(migrated=False), times=3)


def test_a_store_opened_for_reading_changes_nothing(postgres: Server, store: SqlStore) -> None:
    store.commit([Change("queued", a_request(1))])
    url = store.url.render_as_string(hide_password=False)
    reader = SqlStore.open(url, read_only=True)
    assert reader.load().requests == (a_request(1),)
    with pytest.raises(StoreTrouble) as caught:
        reader.commit([Change("queued", a_request(2))])
    assert "reading only" in caught.value.hint
    reader.close()
    empty = postgres.database(migrated=False)
    with pytest.raises(StoreTrouble):
        SqlStore.open(empty, read_only=True)
    name = str(sa.make_url(empty).database)
    assert postgres.sql("SELECT count(*) FROM pg_tables WHERE schemaname='public'", name) == "0"


# --- several at once ----------------------------------------------------------------------------


def test_two_brokers_on_one_database_never_grant_twice(store: SqlStore) -> None:
    with closing(SqlStore.open(store.url.render_as_string(hide_password=False))) as two:
        race_for_gpus(store, two)


def test_a_broker_that_stopped_in_a_commit_is_said_to_hold_the_store(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dialect, "BUSY_SECONDS", 0.2)
    url = store.url.render_as_string(hide_password=False)
    waiting = SqlStore.open(url)
    with store._writer.begin(), pytest.raises(StoreTrouble) as caught:
        waiting.commit([Change("queued", a_request(1))])
    assert "Another process holds" in caught.value.hint
    waiting.commit([Change("queued", a_request(1))])
    waiting.close()


def test_a_load_sees_one_moment_also_while_others_write(store: SqlStore) -> None:
    """Its queries are several: each lease has all its slices, whatever is granted meanwhile."""
    stop = threading.Event()

    def write() -> None:
        for number in range(1, 60):
            slices = [a_slice(f"{number}.{i}", gpu=f"GPU-{number}", parts=1) for i in range(4)]
            store.commit(granted(a_lease(number, *slices)))
        stop.set()

    writer = threading.Thread(target=write)
    writer.start()
    while not stop.is_set():
        snapshot = store.load()
        assert all(len(lease.slices) == 4 for lease in snapshot.leases)
        assert snapshot.next_id == len(snapshot.leases) + 1
    writer.join()


# --- the tables ---------------------------------------------------------------------------------


def test_history_can_not_be_rewritten_in_the_database_either(
    postgres: Server, store: SqlStore
) -> None:
    lease = a_lease(1, a_slice("1.0"))
    entry = AuditEntry(1.0, "ada", "ended", "lease 1")
    store.commit([*granted(lease), ended(lease, at=5.0)], [entry])
    for statement in (*REWRITES, "TRUNCATE ledger", "TRUNCATE audit"):
        with pytest.raises(AssertionError, match="append-only"):
            postgres.sql(statement, str(store.url.database))
    assert store.audit() == [entry]
    assert len(store.ledger()) == 1


def test_states_that_do_not_exist_are_refused_by_the_database(
    postgres: Server, store: SqlStore
) -> None:
    store.commit(granted(a_lease(1, a_slice("1.0"))))
    for statement in NO_SUCH_STATES:
        with pytest.raises(AssertionError, match="violates check constraint"):
            postgres.sql(statement, str(store.url.database))


def test_the_migrations_lead_to_the_tables_in_the_code(store: SqlStore) -> None:
    with store.engine.connect() as connection:
        assert migrate.revision(connection) == migrate.HEAD
        assert compare_metadata(MigrationContext.configure(connection), tables.metadata) == []


def test_every_commit_waits_for_the_disk(store: SqlStore) -> None:
    with store.engine.connect() as connection:
        assert connection.exec_driver_sql("SHOW synchronous_commit").scalar() == "on"
