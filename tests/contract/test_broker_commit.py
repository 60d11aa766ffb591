"""A commit that fails under the broker: whatever became of it, nothing is lost or granted twice.

The failures are real: a full or locked SQLite file, a PostgreSQL session that an admin ends in
mid-commit or right after it, the answer lost on its way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from gpu_workbench import protocol as wire
from gpu_workbench_server.domain.decisions import Change
from gpu_workbench_server.domain.invariants import broken
from gpu_workbench_server.errors import StoreTrouble
from gpu_workbench_server.ports import AuditEntry, Principal
from gpu_workbench_server.store.sql import SqlStore
from tests.support.desk import Desk
from tests.support.postgres import Postgres

ANA, BEN, ADMIN = Principal("ana"), Principal("ben"), Principal("root", admin=True)


class Forgetful(SqlStore):
    """Its next commit arrives, and nobody hears of it: the moment between disk and answer."""

    forget = False

    def commit(self, changes: Sequence[Change], audit: Sequence[AuditEntry] = ()) -> None:
        super().commit(changes, audit)
        if self.forget:
            self.forget = False
            raise StoreTrouble("The store went away during a commit.", "Look again.")


@contextmanager
def sqlite(tmp_path: Path, postgres: Postgres) -> Iterator[SqlStore]:
    with closing(SqlStore.open(tmp_path)) as store:
        yield Forgetful(store.url)


@contextmanager
def postgresql(tmp_path: Path, postgres: Postgres) -> Iterator[SqlStore]:
    with closing(SqlStore.open(postgres.database())) as store:
        yield Forgetful(store.url)


@pytest.fixture(params=[sqlite, postgresql])
def store(
    request: pytest.FixtureRequest, tmp_path: Path, postgres: Postgres
) -> Iterator[Forgetful]:
    with request.param(tmp_path, postgres) as opened:
        yield opened
        opened.close()


def adds_up(desk: Desk) -> None:
    """State and store are the same, no rule is broken, and free is what is not held."""
    state = desk.broker.keeper.state
    snapshot = desk.store.load()
    assert broken(state) == []
    assert {one.id: one for one in snapshot.leases} == state.leases
    assert {one.id: one for one in snapshot.requests} == state.queue
    held = sum(one.units for one in desk.broker.leases(ADMIN))
    status = desk.broker.status(ADMIN)
    assert status.units_free == pytest.approx(status.units_total - held)


def test_a_grant_that_arrived_unheard_of_is_found_and_its_slice_not_granted_again(
    store: Forgetful,
) -> None:
    desk = Desk(store=store)
    store.forget = True
    with pytest.raises(StoreTrouble):
        desk.ask(ANA, "gpu", key="mine")
    behind = desk.ask(BEN, "gpu")
    assert behind.state == "queued", "the GPU is Ana's, though she was told of trouble"
    again = desk.ask(ANA, "gpu", key="mine")
    assert again.state == "granted"
    assert [one.id for one in desk.broker.leases(ANA)] == [again.id]
    adds_up(desk)


def test_an_end_that_arrived_unheard_of_is_in_the_ledger_once(store: Forgetful) -> None:
    desk = Desk(store=store)
    lease = desk.ask(ANA, "gpu")
    waiting = desk.ask(BEN, "gpu")
    desk.clock.time += 100
    store.forget = True
    with pytest.raises(StoreTrouble):
        desk.broker.release(ANA, lease.id)
    assert desk.broker.release(ANA, lease.id).state == "ended", "asked again it is simply over"
    desk.broker.clear(lease.id)
    assert [one.id for one in desk.broker.leases(BEN)] == [waiting.id]
    assert [(one.lease_id, one.held_gpu_seconds) for one in store.ledger()] == [(lease.id, 100.0)]
    adds_up(desk)


def test_a_tick_takes_up_what_was_missed_and_tells_those_concerned(store: Forgetful) -> None:
    desk = Desk(store=store)
    store.forget = True
    with pytest.raises(StoreTrouble):
        desk.ask(ANA, "gpu", name="a.ipynb")
    desk.paper.news.clear()
    desk.broker.tick()
    assert [one.name for one in desk.broker.leases(ANA)] == ["a.ipynb"]
    assert ("lease", "ana") in [(one.type, one.owner) for one in desk.paper.news]
    adds_up(desk)


def full_disk(store: SqlStore) -> Callable[[], None]:
    """SQLite's file may not grow; returns what makes room."""
    with store.engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

    def make_room() -> None:
        with store.engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA max_page_count = 1000000")

    return make_room


def test_on_a_full_disk_the_broker_refuses_with_a_hint_and_goes_on_when_there_is_room(
    tmp_path: Path,
) -> None:
    with closing(SqlStore.open(tmp_path)) as store:
        desk = Desk(store=store)
        lease = desk.ask(ANA, "0.25")
        make_room = full_disk(store)
        with pytest.raises(StoreTrouble) as caught:
            for number in range(200):
                desk.ask(BEN, "gpu", name=f"{number}" * 100)
        assert "full" in caught.value.message
        assert "Free some space" in caught.value.hint
        adds_up(desk)
        assert [one.id for one in desk.broker.leases(ANA)] == [lease.id]
        make_room()
        desk.broker.tick()
        desk.broker.release(ANA, lease.id)
        desk.broker.clear(lease.id)
        assert [one.name for one in desk.broker.leases(BEN)] == ["0" * 100], "the first of them"
        adds_up(desk)


def kill_at(store: SqlStore, postgres: Postgres, statement: str) -> Callable[[], bool]:
    """The session that is about to run such a statement is ended by an admin, once."""
    done: list[str] = []

    @sa.event.listens_for(store.engine, "before_cursor_execute")
    def before(connection: Any, cursor: Any, text: str, *_: Any) -> None:
        if not done and text.startswith(statement):
            done.append(text)
            pid = connection.connection.driver_connection.info.backend_pid
            postgres.sql(f"SELECT pg_terminate_backend({pid}, 5000)")

    return lambda: bool(done)


@pytest.mark.parametrize("statement", ["INSERT INTO leases", "INSERT INTO audit"])
def test_a_session_that_is_ended_in_mid_commit_changes_nothing(
    postgres: Postgres, statement: str
) -> None:
    with closing(SqlStore.open(postgres.database())) as store:
        desk = Desk(store=store)
        killed = kill_at(store, postgres, statement)
        with pytest.raises(StoreTrouble):
            desk.ask(ANA, "gpu", key="mine")
        assert killed()
        assert desk.broker.leases(ADMIN) == []
        assert desk.ask(BEN, "gpu").state == "granted"
        assert desk.ask(ANA, "gpu", key="mine").state == "queued"
        adds_up(desk)


def test_a_server_that_crashes_under_the_broker_loses_nothing(postgres: Postgres) -> None:
    with closing(SqlStore.open(postgres.database())) as store:
        store.hold()
        desk = Desk(store=store)
        lease = desk.ask(ANA, "0.25")
        postgres.stop(crash=True)
        try:
            with pytest.raises(StoreTrouble):
                desk.ask(BEN, "gpu")
            with pytest.raises(StoreTrouble):
                desk.broker.tick()
            assert [one.id for one in desk.broker.leases(ANA)] == [lease.id]
        finally:
            postgres.start()
        with pytest.raises(StoreTrouble, match="was lost"):
            desk.ask(BEN, "0.25")
        assert desk.ask(BEN, "0.25").state == "granted"
        adds_up(desk)


def test_a_broker_whose_database_somebody_else_took_writes_nothing_more(
    postgres: Postgres,
) -> None:
    """Its session was cut (a network that broke), and another server was quicker."""
    url = postgres.database()
    with closing(SqlStore.open(url)) as store, closing(SqlStore.open(url)) as other:
        store.hold()
        desk = Desk(store=store)
        desk.ask(ANA, "0.25")
        assert store._sole is not None
        postgres.sql(f"SELECT pg_terminate_backend({store._sole._pid}, 5000)")
        other.hold()
        successor = Desk(store=other)
        taken = successor.ask(BEN, "0.25")
        with pytest.raises(Exception, match="Another server already manages") as refused:
            desk.ask(ANA, "0.25")
        assert getattr(refused.value, "code", "") == "broker_busy"
        other.close()
        desk.broker.tick()
        assert taken.id in [one.id for one in desk.broker.leases(ADMIN)]
        adds_up(desk)


def test_a_broken_file_is_said_when_the_broker_starts(tmp_path: Path) -> None:
    with closing(SqlStore.open(tmp_path)) as store:
        desk = Desk(store=store)
        desk.ask(ANA, "0.25")
        path = Path(str(store.url.database))
    body = bytearray(path.read_bytes())
    body[4096:12288] = b"\xff" * 8192
    path.write_bytes(body)
    with pytest.raises(StoreTrouble) as caught:
        SqlStore.open(tmp_path)
    assert str(path) in caught.value.message
    assert "Move" in caught.value.hint
    assert path.read_bytes() == bytes(body), "what can still be rescued is left alone"


def test_asks_made_over_the_wire_while_the_store_is_away_may_be_repeated(store: Forgetful) -> None:
    """A client that got an error asks again with its key, and never holds two."""
    desk = Desk(store=store)
    ask = wire.Ask(what="0.25", key="cell-7")
    for _ in range(3):
        store.forget = True
        try:
            desk.broker.ask(ANA, ask)
        except StoreTrouble:
            continue
    assert len(desk.broker.leases(ANA)) == 1
    adds_up(desk)
