"""What only a store on disk can promise: it survives kills, full disks and damage, and says so."""

from __future__ import annotations

import dataclasses
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from gpu_workbench_server.domain.decisions import Change
from gpu_workbench_server.domain.leases import LedgerEntry, Request, Slice
from gpu_workbench_server.errors import StoreTrouble
from gpu_workbench_server.ports import AuditEntry, Record
from gpu_workbench_server.store import FILE_NAME, migrate, rows, tables
from gpu_workbench_server.store.sql import SqlStore
from tests.support.leasing import a_lease, a_request, a_slice, ended, granted
from tests.support.sqlstores import NO_SUCH_STATES, REWRITES, open_at_once, race_for_gpus


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqlStore]:
    opened = SqlStore.open(tmp_path)
    yield opened
    opened.close()


def run_sql(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


# --- durability ---------------------------------------------------------------------------------


def test_what_was_committed_is_there_after_closing_and_opening(tmp_path: Path) -> None:
    first = SqlStore.open(tmp_path)
    lease = a_lease(1, a_slice("1.0"))
    first.commit(granted(lease))
    first.close()
    second = SqlStore.open(tmp_path)
    assert second.load().leases == (lease,)
    second.close()


WRITER = """
    import sys
    from gpu_workbench_server.domain.decisions import Change
    from gpu_workbench_server.ports import AuditEntry
    from gpu_workbench_server.store.sql import SqlStore
    from tests.support.leasing import a_lease, a_request, a_slice, granted

    store = SqlStore.open(sys.argv[1])
    number = store.load().next_id
    while True:
        one = a_lease(number, a_slice(f"{number}.0", gpu=f"GPU-{number}"))
        store.commit(granted(one), [AuditEntry(1.0, "ada", "granted", str(number))])
        print(number, flush=True)
        number += 1
"""


@pytest.mark.parametrize("after", [1, 7, 40])
def test_killing_the_writer_loses_no_acknowledged_commit(tmp_path: Path, after: int) -> None:
    root = Path(__file__).parents[2]
    writer = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(WRITER), str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(root), *sys.path])},
    )
    assert writer.stdout is not None
    acknowledged = [int(writer.stdout.readline()) for _ in range(after)]
    writer.send_signal(signal.SIGKILL)
    acknowledged += [int(line) for line in writer.stdout.read().split()]
    writer.wait()
    writer.stdout.close()

    store = SqlStore.open(tmp_path)
    kept = [lease.id for lease in store.load().leases]
    assert kept[: len(acknowledged)] == acknowledged
    assert len(kept) - len(acknowledged) <= 1, "at most the one that was under way"
    assert len(store.audit(limit=10_000)) == len(kept), "a commit is there whole or not at all"
    store.commit([Change("queued", a_request(store.load().next_id))])
    store.close()


def test_a_full_disk_is_said_and_changes_nothing(store: SqlStore) -> None:
    store.commit([Change("queued", a_request(1))])
    with store.engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
    big = [Change("queued", a_request(n, name="x" * 2000)) for n in range(2, 60)]
    with pytest.raises(StoreTrouble) as caught:
        store.commit([Change("queued", a_request(1, name="newer")), *big])
    assert "full" in caught.value.message
    assert "Free some space" in caught.value.hint
    assert store.load().requests == (a_request(1),)
    with store.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1000000")
    store.commit(big)
    assert len(store.load().requests) == 59


def test_every_commit_waits_for_the_disk(store: SqlStore) -> None:
    with store.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2  # FULL
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1


# --- several at once ----------------------------------------------------------------------------


def test_two_stores_on_one_file_see_each_other_and_never_grant_twice(tmp_path: Path) -> None:
    with closing(SqlStore.open(tmp_path)) as one, closing(SqlStore.open(tmp_path)) as two:
        race_for_gpus(one, two)


def test_all_that_open_a_new_store_at_once_get_it(tmp_path: Path) -> None:
    open_at_once(tmp_path)


def test_a_store_that_somebody_holds_is_said_to_be_locked(store: SqlStore, tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with store.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA busy_timeout = 50")
    with pytest.raises(StoreTrouble) as caught:
        store.commit([Change("queued", a_request(1))])
    assert "locked" in caught.value.message
    assert "try again" in caught.value.hint
    other.close()
    store.commit([Change("queued", a_request(1))])


# --- opening ------------------------------------------------------------------------------------


def test_a_file_that_is_no_database_is_left_alone_and_named(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    path.write_bytes(b"my holiday pictures" * 1000)
    with pytest.raises(StoreTrouble) as caught:
        SqlStore.open(tmp_path)
    assert str(path) in caught.value.message
    assert "Move" in caught.value.hint
    assert path.read_bytes() == b"my holiday pictures" * 1000


def test_a_damaged_database_is_left_alone_and_named(tmp_path: Path) -> None:
    store = SqlStore.open(tmp_path)
    store.commit([Change("queued", a_request(n, name="x" * 500)) for n in range(1, 200)])
    store.close()
    path = tmp_path / FILE_NAME
    content = bytearray(path.read_bytes())
    middle = len(content) // 2 // 4096 * 4096
    content[middle : middle + 12288] = b"\xff" * 12288
    path.write_bytes(content)
    with pytest.raises(StoreTrouble) as caught:
        SqlStore.open(tmp_path)
    assert str(path) in caught.value.message
    assert "Move" in caught.value.hint
    assert path.read_bytes() == content


def test_a_database_of_a_newer_version_is_refused_with_a_hint(
    store: SqlStore, tmp_path: Path
) -> None:
    store.close()
    run_sql(tmp_path / FILE_NAME, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StoreTrouble) as caught:
        SqlStore.open(tmp_path)
    assert "newer" in caught.value.message
    assert "Upgrade" in caught.value.hint


def test_somebody_elses_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    run_sql(path, "CREATE TABLE leases (flat TEXT)")
    with pytest.raises(StoreTrouble):
        SqlStore.open(tmp_path)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("leases",)]


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "in-the-way").write_text("")
    with pytest.raises(StoreTrouble) as caught:
        SqlStore.open(tmp_path / "in-the-way" / "store")
    assert "in-the-way" in caught.value.message


def test_a_store_can_be_a_directory_a_file_or_a_url(tmp_path: Path) -> None:
    odd = tmp_path / "100% of it"
    odd.mkdir()
    for where in (odd, tmp_path / "own.sqlite", f"sqlite:///{tmp_path}/by-url.sqlite"):
        store = SqlStore.open(where)
        store.commit([Change("queued", a_request(1))])
        store.close()
    made = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.sqlite")}
    assert made == {f"100% of it/{FILE_NAME}", "own.sqlite", "by-url.sqlite"}


def test_the_file_is_for_its_owner_only(store: SqlStore, tmp_path: Path) -> None:
    store.commit([Change("queued", a_request(1))])
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert set(modes.values()) == {0o600}, modes


def test_a_store_opened_for_reading_changes_nothing(store: SqlStore, tmp_path: Path) -> None:
    store.commit([Change("queued", a_request(1))])
    reader = SqlStore.open(tmp_path, read_only=True)
    assert reader.load().requests == (a_request(1),)
    with pytest.raises(StoreTrouble):
        reader.commit([Change("queued", a_request(2))])
    reader.close()
    with pytest.raises(StoreTrouble) as caught:
        SqlStore.open(tmp_path / "nowhere", read_only=True)
    assert "no store" in caught.value.message
    assert not (tmp_path / "nowhere").exists()


# --- the tables ---------------------------------------------------------------------------------


def test_history_can_not_be_rewritten_in_the_database_either(
    store: SqlStore, tmp_path: Path
) -> None:
    lease = a_lease(1, a_slice("1.0"))
    entry = AuditEntry(1.0, "ada", "ended", "lease 1")
    store.commit([*granted(lease), ended(lease, at=5.0)], [entry])
    for statement in REWRITES:
        with pytest.raises(sqlite3.DatabaseError, match="append-only"):
            run_sql(tmp_path / FILE_NAME, statement)
    assert store.audit() == [entry]


def test_states_that_do_not_exist_are_refused_by_the_database(
    store: SqlStore, tmp_path: Path
) -> None:
    store.commit(granted(a_lease(1, a_slice("1.0"))))
    for statement in NO_SUCH_STATES:
        with pytest.raises(sqlite3.IntegrityError):
            run_sql(tmp_path / FILE_NAME, statement)


def test_who_holds_what_is_one_query(store: SqlStore) -> None:
    store.commit(granted(a_lease(1, a_slice("1.0", gpu="GPU-a"), a_slice("1.1", gpu="GPU-b"))))
    query = sa.text(
        "SELECT leases.user, slices.gpu, slices.profile FROM slices JOIN leases"
        " ON leases.id = slices.lease_id WHERE NOT leases.cleared ORDER BY slices.position"
    )
    with store.engine.connect() as connection:
        found = [tuple(row) for row in connection.execute(query)]
    assert found == [("ada", "GPU-a", "fraction-0.25"), ("ada", "GPU-b", "fraction-0.25")]


def test_the_migrations_lead_to_the_tables_in_the_code(store: SqlStore) -> None:
    with store.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), tables.metadata) == []


def test_the_newest_migration_is_the_one_the_code_expects() -> None:
    config = Config()
    config.set_main_option("script_location", str(migrate.FOLDER))
    assert ScriptDirectory.from_config(config).get_heads() == [migrate.HEAD]


@pytest.mark.parametrize(
    ("kind", "table", "besides"),
    [
        (Request, tables.requests, set()),
        (Slice, tables.slices, {"lease_id", "position"}),
        (LedgerEntry, tables.ledger, set()),
        (AuditEntry, tables.audit, {"seq"}),
        (Record, tables.records, set()),
    ],
)
def test_every_field_of_the_domain_has_its_column(
    kind: type, table: sa.Table, besides: set[str]
) -> None:
    fields = {field.name for field in dataclasses.fields(kind)}
    assert {column.name for column in table.columns} - besides == fields


def test_every_field_of_a_lease_has_its_column() -> None:
    row = rows.lease_row(a_lease(1))
    assert set(row) == {column.name for column in tables.leases.columns}
    flat = {name for name in row if not name.startswith("holder_")}
    fields = {field.name for field in dataclasses.fields(a_lease(1))}
    assert flat == fields - {"slices", "holder"}
