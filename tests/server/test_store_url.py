"""A server whose store is a database: real Jupyter servers, a real PostgreSQL, and SIGKILL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from gpu_workbench_server.store.sql import SqlStore
from tests.support.lab import HttpError, LabServer
from tests.support.postgres import Postgres
from tests.support.waiting import wait_for

SECRET = "s3cr3t-of-the-database"


@pytest.fixture
def url(postgres: Postgres) -> str:
    """With a password that the server asks for."""
    postgres.sql(
        "DO $$ BEGIN CREATE ROLE keeper LOGIN SUPERUSER PASSWORD "
        f"'{SECRET}'; EXCEPTION WHEN duplicate_object THEN NULL; END $$"
    )
    database = sa.make_url(postgres.database()).database
    return postgres.url(str(database), "keeper", SECRET)


@pytest.fixture
def server(tmp_path: Path, url: str) -> Iterator[LabServer]:
    with LabServer(tmp_path / "one", workbench={"store_url": url}) as lab:
        yield lab


def test_killed_and_started_again_it_knows_everything_and_shows_no_password(
    server: LabServer, url: str
) -> None:
    first = server.api("POST", "requests", {"what": "0.25", "key": "a", "name": "a.ipynb"})
    server.api("POST", "requests", {"what": "0.25", "key": "b", "name": "b.ipynb"})
    server.api("DELETE", f"leases/{first['id']}")

    server.restart(kill=True)

    assert [one["name"] for one in server.leases()] == ["b.ipynb"]
    again = server.api("POST", "requests", {"what": "0.25", "key": "a"})
    assert again["id"] == first["id"], "its key is known"
    rows = server.api("GET", "usage")["rows"]
    assert sorted(row["name"] for row in rows) == ["a.ipynb", "b.ipynb"]
    store = SqlStore.open(url, read_only=True)
    assert {one.id for one in store.load().leases} >= {one["id"] for one in server.leases()}
    store.close()
    assert not list(server.data_dir.rglob("store.sqlite*")), "there is no other store beside it"
    log = server.log_file.read_text()
    assert "state in postgresql" in log
    assert SECRET not in log


def test_a_second_server_on_the_database_is_refused_and_takes_over_after_the_first(
    server: LabServer, tmp_path: Path, url: str
) -> None:
    """Its data directory is another one: only the database can tell."""
    server.api("POST", "requests", {"what": "0.25", "name": "mine.ipynb"})
    second = LabServer(tmp_path / "two", workbench={"store_url": url})
    second.spawn()
    try:

        def refusal() -> HttpError | None:
            try:
                second.api("GET", "status")
            except HttpError as error:
                return error if error.code == "broker_busy" else None
            except OSError:
                pass
            return None

        said = wait_for(refusal, 60, "the second is refused").body
        assert "Another server already manages the GPUs" in said["message"]
        assert SECRET not in str(said)
        assert "two databases" in said["hint"]
        server.kill9()
        second.wait_up(60)
        assert [one["name"] for one in second.leases()] == ["mine.ipynb"]
        assert SECRET not in second.log_file.read_text()
    finally:
        second.stop()


def test_a_database_that_went_away_is_said_and_found_again(
    server: LabServer, postgres: Postgres
) -> None:
    server.api("POST", "requests", {"what": "0.25", "name": "kept.ipynb"})
    postgres.stop(crash=True)
    try:
        with pytest.raises(HttpError) as refused:
            server.api("POST", "requests", {"what": "0.25", "name": "lost.ipynb"})
        assert (refused.value.status, refused.value.code) == (503, "store_trouble")
        assert SECRET not in str(refused.value.body)
    finally:
        postgres.start()

    def asked() -> bool:
        try:
            server.api("POST", "requests", {"what": "0.25", "key": "k", "name": "new.ipynb"})
        except HttpError as error:
            assert error.code == "store_trouble"
            return False
        return True

    wait_for(asked, what="the database is found again")
    assert [one["name"] for one in server.leases()] == ["kept.ipynb", "new.ipynb"]
    assert SECRET not in server.log_file.read_text()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("mysql://root:hush@db/x", "mysql is not supported"),
        ("postgresql://root:hush@127.0.0.1:1/x?password=hush", "127.0.0.1"),
    ],
)
def test_a_store_that_can_not_be_had_is_said_without_its_password(
    tmp_path: Path, given: str, said: str
) -> None:
    lab = LabServer(tmp_path, workbench={"store_url": given})
    lab.spawn()
    try:

        def refusal() -> HttpError | None:
            try:
                lab.api("GET", "status")
            except HttpError as error:
                return error
            except OSError:
                pass
            return None

        error = wait_for(refusal, 60, "refused")
        assert (error.status, error.code) == (503, "store_trouble")
        assert said in error.body["message"]
        assert error.body["hint"]
        assert "hush" not in str(error.body) + lab.log_file.read_text()
    finally:
        lab.stop()
