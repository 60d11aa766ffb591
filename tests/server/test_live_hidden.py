"""A hidden window: it is sent nothing, costs bounded memory, and is whole once it is shown."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

from gpu_workbench import protocol as wire
from gpu_workbench_server.ports import News
from gpu_workbench_server.web.live import Hub
from gpu_workbench_server.web.live_watcher import MAX_HELD, MAX_NOTICES
from gpu_workbench_server.web.views import Message, event
from tests.support.windows import ANA, Objects, Reader

HIDDEN, SHOWN = wire.Looking(hidden=True), wire.Looking()


def a_message(kind: str, name: str, state: str) -> Message:
    return event(kind, name, {"id": name, "state": state})


def ids(messages: list[bytes]) -> list[str]:
    return [json.loads(one)["data"]["id"] for one in messages]


async def test_it_gets_nothing_and_then_the_newest_of_each_with_notices_last(
    jp_asyncio_loop: Any,
) -> None:
    objects = Objects()
    objects.of["ana"]["j1"] = {"state": "running"}
    hub = Hub(objects.look, settle=0.001)
    hidden, visible = Reader(ANA), Reader(ANA)
    for one in (hidden, visible):
        await hub.join(one.watcher)
        await one.has(1)
    hub.look(hidden.watcher, HIDDEN)
    hidden.watcher.event(a_message("notice", "n", "soon"))
    for number, state in enumerate(("waiting", "running", "stopping", "succeeded")):
        objects.of["ana"]["j2"] = {"state": state}
        hub.tell(News("job", "j2", "ana"))
        await visible.has(2 + number)
    objects.of["ana"]["j1"] = {"state": "failed"}
    hub.tell(News("job", "j1", "ana"))
    await visible.has(6)
    hub.sample(wire.Sample(time=1.0, simulated=True, gpus=[], slices=[]))
    await visible.has(9)  # two layouts and the tick
    assert len(hidden.got) == 1, "nothing since it was hidden"
    hub.look(hidden.watcher, SHOWN)
    *told, last = (await hidden.has(4))[1:]
    assert [json.loads(one)["data"] for one in told] == [
        {"state": "succeeded"},
        {"state": "failed"},
    ]
    assert ids([last]) == ["n"]
    await hub.close()


async def test_it_is_told_of_the_lease_that_it_awaits_and_of_nothing_else(
    jp_asyncio_loop: Any,
) -> None:
    window = Reader(ANA)
    window.watcher.event(a_message("lease", "6", "active"))
    await window.has(1)
    window.watcher.show(HIDDEN)
    window.watcher.event(a_message("lease", "7", "active"))
    window.watcher.event(a_message("request", "7", "granted"))
    window.watcher.event(a_message("lease", "6", "ended"))
    window.watcher.show(wire.Looking(hidden=True, awaits=[7]))
    assert ids((await window.has(2))[1:]) == ["7"], "granted before it said so"
    window.watcher.show(SHOWN)
    assert ids((await window.has(4))[2:]) == ["7", "6"]
    window.watcher.end()
    await window.task


async def test_what_waits_for_it_is_bounded_and_with_too_much_it_begins_anew(
    jp_asyncio_loop: Any,
) -> None:
    window = Reader(ANA)
    watcher = window.watcher
    watcher.show(wire.Looking(hidden=True, awaits=[30_000]))
    most = 0
    for number in range(30_000):  # some days of leases that come and go
        watcher.event(a_message("lease", str(number), "active"))
        watcher.event(a_message("lease", str(number), "ended"))
        if number % 100 == 0:
            watcher.event(a_message("notice", str(number), "soon"))
        most = max(most, watcher.waiting)
    assert most <= MAX_HELD + MAX_NOTICES + 1
    assert watcher.behind and watcher.waiting == MAX_NOTICES and window.got == []
    watcher.event(a_message("lease", "30000", "active"))
    assert ids(await window.has(1)) == ["30000"], "what it awaits is told all the same"
    watcher.show(SHOWN)
    async with asyncio.timeout(60):
        await window.task  # and its connection is closed: it comes back, and is given everything
    assert ids(window.got[1:]) == [str(number) for number in range(20_000, 30_000, 100)]


async def test_no_byte_reaches_it_while_leases_come_and_go_and_then_the_truth_does(
    workbench: Any,
) -> None:
    kept = (await workbench.call("POST", "requests", {"what": "10GB"}))[1]["id"]
    hidden, visible = await workbench.live(), await workbench.live()
    for one in (hidden, visible):
        await workbench.ticks(one)
    told: dict[tuple[str, Any], Any] = {}
    reading = asyncio.create_task(collect(hidden, told))
    await hidden.write_message('{"hidden": true}')
    await caught_up(hidden)
    before, events, gone = hidden.protocol._wire_bytes_in, 0, list[int]()
    told.clear()

    until = time.monotonic() + 2
    await workbench.call("DELETE", f"leases/{kept}")
    while time.monotonic() < until or events <= 20:
        gone.append((await workbench.call("POST", "requests", {"what": "10GB"}))[1]["id"])
        await workbench.call("DELETE", f"leases/{gone[-1]}")
        notice = wire.Notice(lease_id=gone[-1], code="ends_soon", message="It ends.", hint="")
        workbench.app._hub.tell(News("notice", str(gone[-1]), payload=notice))
        events += len(await workbench.events(visible, until="notice"))
    alive = (await workbench.call("POST", "requests", {"what": "gpu"}))[1]["id"]
    waiting = (await workbench.call("POST", "requests", {"what": "gpu"}))[1]["id"]
    last = None
    while last != waiting:  # the other's request may be told by itself, before
        last = (await workbench.events(visible, until="request"))[-1]["data"]["id"]
    assert events > 20, "there was something to tell"
    assert hidden.protocol._wire_bytes_in == before and not told, "not a byte"

    await hidden.write_message('{"hidden": false}')

    async def all_told() -> bool:
        return ("tick", None) in told and ("notice", gone[-1]) in told

    await workbench.eventually(all_told, "the truth")
    assert told["lease", kept]["state"] == "ended"
    assert told["lease", alive]["state"] == "active"
    assert told["request", waiting]["state"] == "queued"
    assert len([kind for kind, _ in told if kind == "notice"]) == min(len(gone), MAX_NOTICES)
    status = (await workbench.call("GET", "status"))[1]
    assert told["hello", None]["units_free"] == status["units_free"]
    reading.cancel()
    for one in (hidden, visible):
        one.close()


async def test_hidden_for_too_long_it_is_sent_away_when_shown_to_come_back(workbench: Any) -> None:
    socket = await workbench.live()
    await workbench.ticks(socket)
    (watcher,) = workbench.app._hub._watchers
    await socket.write_message('{"hidden": true}')

    async def is_hidden() -> bool:
        return bool(watcher.hidden)

    await workbench.eventually(is_hidden, "hidden")
    for number in range(MAX_HELD + MAX_NOTICES + 1):
        watcher.event(a_message("lease", str(number), "ended"))
    watcher.event(a_message("notice", "7", "soon"))
    await socket.write_message('{"hidden": false}')
    assert (await workbench.events(socket, until="notice"))[-1]["data"]["id"] == "7"
    while await asyncio.wait_for(socket.read_message(), 60) is not None:
        pass
    assert socket.close_code == 1001 and "anew" in socket.close_reason
    again = await workbench.live()
    await workbench.events(again, until="fleet")
    assert workbench.app._hub.watchers == 1
    again.close()


async def collect(socket: Any, told: dict[tuple[str, Any], Any]) -> None:
    """Read on: the newest of each object that comes."""
    while (message := await socket.read_message()) is not None:
        if isinstance(message, bytes):
            told["tick", None] = message
        else:
            said = json.loads(message)
            data = said["data"]
            told[said["type"], data.get("id", data.get("lease_id"))] = data


async def caught_up(socket: Any) -> None:
    """The server has read what was said, and all that was on its way has come."""
    answered = asyncio.Event()
    socket.on_pong = lambda _: answered.set()
    socket.ping(b"?")
    await asyncio.wait_for(answered.wait(), 60)
