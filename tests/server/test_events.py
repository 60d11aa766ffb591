"""What an auditor is told: real broker, real store, real event logger."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import threading
from dataclasses import dataclass

import pytest
from jupyter_events import EventLogger

from gpu_workbench import protocol as wire
from gpu_workbench_server.devices.simulated import SimulatedBackend
from gpu_workbench_server.observe.events import HOLDER, LEASE, REQUEST, SCHEMAS, AuditEvents
from gpu_workbench_server.ports import News, Principal
from gpu_workbench_server.services.broker import Broker
from gpu_workbench_server.services.policy import Policy
from gpu_workbench_server.store.memory import MemoryStore
from tests.support.news import Paper, WallClock

ADA = Principal("ada")


@dataclass
class Audited:
    events: AuditEvents
    paper: Paper
    written: io.StringIO

    def read(self) -> list[dict[str, object]]:
        lines = self.written.getvalue().splitlines()
        return [json.loads(line) for line in lines]

    def actions(self) -> list[tuple[object, object]]:
        return [(one["__schema__"], one["action"]) for one in self.read()]


@pytest.fixture
def audited() -> Audited:
    written, paper = io.StringIO(), Paper()
    logger = EventLogger(handlers=[logging.StreamHandler(written)])
    return Audited(AuditEvents(paper, logger, lambda call: call()), paper, written)


def a_job(state: wire.JobState) -> wire.Job:
    return wire.Job(
        id="j1",
        name="train.py",
        state=state,
        user="ada",
        lease_id=4,
        request_id=4,
        ranks=[],
        per_rank="0.5",
        created_at=1.0,
        message="",
        command=[],
    )


def test_an_event_is_emitted_for_what_happens_to_requests_and_leases(audited: Audited) -> None:
    for news in (
        News("request", "4", "ada", "queued"),
        News("request", "4", "ada", "granted"),
        News("lease", "4", "ada", "granted"),
        News("lease", "4", "ada", "extended"),
        News("request", "5", "bob", "waiting"),
        News("lease", "4", "ada", "ended"),
        News("fleet", "fleet"),
        News("request", "6", "bob", "denied"),
    ):
        audited.events.tell(news)
    assert audited.actions() == [
        (REQUEST, "queued"),
        (REQUEST, "granted"),
        (LEASE, "granted"),
        (LEASE, "extended"),
        (LEASE, "ended"),
        (REQUEST, "denied"),
    ]
    first = audited.read()[0]
    assert (first["id"], first["user"], first["__schema_version__"]) == (4, "ada", "1")
    assert len(audited.paper.news) == 8, "everything is passed on"


def test_a_job_starts_and_ends_once_however_often_it_is_told(audited: Audited) -> None:
    states: list[wire.JobState] = [
        "waiting",
        "starting",
        "running",
        "running",
        "stopping",
        "failed",
        "failed",
    ]
    for state in states:
        audited.events.tell(News("job", "j1", "ada", a_job(state)))
    assert audited.actions() == [(HOLDER, "started"), (HOLDER, "ended")]
    last = audited.read()[-1]
    assert (last["state"], last["name"], last["lease"]) == ("failed", "train.py", 4)


def test_a_job_that_ran_before_the_server_is_found_not_started(audited: Audited) -> None:
    audited.events.tell(News("job", "j1", "ada", a_job("running")))
    assert audited.actions() == [(HOLDER, "found")]


def test_every_event_of_a_real_broker_fits_its_schema(audited: Audited) -> None:
    devices = SimulatedBackend()
    broker = Broker(MemoryStore(), devices, WallClock(), audited.events, Policy())
    broker.start()
    request = broker.ask(ADA, wire.Ask(what="0.5"))
    waiting = broker.ask(ADA, wire.Ask(what="gpu"))
    broker.bind(ADA, request.id, wire.Holder(kind="kernel", id="k", name="a.ipynb"))
    broker.extend(ADA, request.id, 60)
    broker.cancel(ADA, waiting.id)
    broker.release(ADA, request.id)
    broker.clear(request.id)
    devices.close()
    assert audited.actions() == [
        (REQUEST, "queued"),
        (REQUEST, "granted"),
        (LEASE, "granted"),
        (REQUEST, "queued"),
        (LEASE, "bound"),
        (LEASE, "extended"),
        (REQUEST, "cancelled"),
        (LEASE, "ended"),
        (LEASE, "cleared"),
    ]


def test_every_event_has_a_schema_of_its_own_version() -> None:
    assert {path.stem for path in SCHEMAS} == {"request", "lease", "holder"}
    logger = EventLogger()
    for path in SCHEMAS:
        logger.register_event_schema(path)
    assert set(logger.schemas.schema_ids) == {REQUEST, LEASE, HOLDER}


async def test_news_of_any_thread_are_emitted_on_the_event_loop() -> None:
    written = io.StringIO()
    logger = EventLogger(handlers=[logging.StreamHandler(written)])
    heard: asyncio.Queue[str] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    events = AuditEvents(Paper(), logger, loop.call_soon_threadsafe)

    async def listener(logger: EventLogger, schema_id: str, data: dict[str, object]) -> None:
        heard.put_nowait(str(data["action"]))

    logger.add_listener(schema_id=LEASE, listener=listener)
    thread = threading.Thread(target=events.tell, args=(News("lease", "1", "ada", "granted"),))
    thread.start()
    assert await asyncio.wait_for(heard.get(), 60) == "granted"
    thread.join()


def test_a_handler_that_fails_stops_nobody() -> None:
    class Broken(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise OSError("disk full")

    paper = Paper()
    events = AuditEvents(paper, EventLogger(handlers=[Broken()]), lambda call: call())
    events.tell(News("lease", "1", "ada", "granted"))
    assert len(paper.news) == 1
