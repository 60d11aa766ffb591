"""A store of an older version is brought up to date with all that is in it, on either database."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from gpu_workbench_server.domain.decisions import Change
from gpu_workbench_server.errors import StoreTrouble
from gpu_workbench_server.ports import AuditEntry
from gpu_workbench_server.store import migrate
from gpu_workbench_server.store.sql import SqlStore
from tests.support.leasing import a_lease, a_request, a_slice, ended

# What version 0001 had, in its own columns: one lease that runs, one that is over, one that waits.
ROWS = {
    "requests": [
        {
            "id": number, "user": "ada", "group": None, "what": "20GB", "count": 1,
            "profile": "fraction-0.25", "pool": "default", "seconds": 3600, "created_at": 1.0,
            "parts": 10500, "min_memory_gb": 0.0, "same_node": False, "priority": 0,
            "purpose": "kernel", "name": "", "key": None, "state": state,
        }
        for number, state in ((1, "granted"), (2, "granted"), (3, "queued"))
    ],
    "leases": [
        {
            "id": number, "user": "ada", "group": None, "pool": "default",
            "profile": "fraction-0.25", "parts": 10500, "purpose": "kernel", "name": "a.ipynb",
            "granted_at": 2.0, "ends_at": 3602.0, "state": state, "holder_kind": None,
            "holder_id": None, "holder_name": None, "holder_pid": None, "holder_started": None,
            "ended_at": end, "end_reason": end and "released", "cleared": end is not None,
            "used_gpu_seconds": None,
        }
        for number, state, end in ((1, "active", None), (2, "ended", 9.0))
    ],
    "slices": [
        {
            "lease_id": number, "position": 0, "id": f"{number}.0", "gpu": "GPU-a",
            "profile": "fraction-0.25", "kind": "fraction", "parts": 10500,
            "memory_bytes": 20 << 30, "tier": "simulated", "visible_device": "", "instance": None,
        }
        for number in (1, 2)
    ],
    "occupancy": [{"device": "GPU-a", "parts": 10500}],
    "ledger": [
        {
            "lease_id": 2, "user": "ada", "group": None, "pool": "default",
            "profile": "fraction-0.25", "purpose": "kernel", "name": "a.ipynb", "parts": 10500,
            "start": 2.0, "end": 9.0, "end_reason": "released", "used_gpu_seconds": None,
        }
    ],
}  # fmt: skip


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of a database with nothing in it."""
    if request.param == "postgres":
        empty: str = request.getfixturevalue("postgres").database(migrated=False)
        return empty
    return f"sqlite:///{tmp_path}/store.sqlite"


def make_old(url: str, revision: str) -> None:
    """Tables of an older version, with its rows."""
    store = SqlStore(url if url.startswith("sqlite") else url.replace("://", "+psycopg://"))
    config = Config()
    config.set_main_option("script_location", str(migrate.FOLDER))
    with store.engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        for name, found in ROWS.items():
            table = sa.Table(name, sa.MetaData(), autoload_with=connection, resolve_fks=False)
            connection.execute(sa.insert(table), found)
    store.close()


def test_a_store_of_the_first_version_is_brought_up_to_date_with_all_it_has(url: str) -> None:
    make_old(url, "0001")
    store = SqlStore.open(url)
    snapshot = store.load()
    assert [one.id for one in snapshot.requests] == [3]
    assert snapshot.leases == (a_lease(1, a_slice("1.0")),)
    assert snapshot.next_id == 4
    assert [(one.lease_id, one.end) for one in store.ledger()] == [(2, 9.0)]
    store.commit([ended(snapshot.leases[0], at=10.0), Change("queued", a_request(4))])
    store.close()


def test_it_is_refused_for_reading_until_then(url: str) -> None:
    make_old(url, "0001")
    with pytest.raises(StoreTrouble) as caught:
        SqlStore.open(url, read_only=True)
    assert "older version" in caught.value.message


def test_history_stays_append_only_after_every_migration(url: str) -> None:
    """Altering a table may drop its triggers, as SQLite's batch mode does."""
    make_old(url, "0001")
    store = SqlStore.open(url)
    store.commit([], [AuditEntry(1.0, "ada", "queued", "request 3")])
    for table in ("ledger", "audit"):
        with (
            pytest.raises(sa.exc.DatabaseError, match="append-only"),
            store.engine.begin() as connection,
        ):
            connection.execute(sa.text(f"DELETE FROM {table}"))
    assert (len(store.ledger()), len(store.audit())) == (1, 1)
    store.close()
