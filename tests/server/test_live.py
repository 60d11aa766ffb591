"""The WebSocket: everything at first, then news; a slow reader harms nobody."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from gpu_workbench import protocol as wire
from gpu_workbench_server.ports import News, Principal
from gpu_workbench_server.web.live import Hub, Watcher
from gpu_workbench_server.web.views import Message, event

ANA = Principal("ana")
BO = Principal("bo")


# --- over a real socket ---------------------------------------------------------------------------


async def test_a_watcher_first_learns_everything(workbench: Any) -> None:
    number = (await workbench.call("POST", "requests", {"what": "10GB"}))[1]["id"]
    socket = await workbench.live()
    events = await workbench.events(socket, until="lease")
    assert [one["type"] for one in events[:2]] == ["hello", "fleet"]
    assert events[-1]["data"]["id"] == number
    socket.close()


async def test_a_watcher_is_told_of_grants_and_ends(workbench: Any) -> None:
    socket = await workbench.live()
    await workbench.events(socket, until="fleet")
    number = (await workbench.call("POST", "requests", {"what": "gpu"}))[1]["id"]
    granted = (await workbench.events(socket, until="lease"))[-1]["data"]
    assert (granted["id"], granted["state"]) == (number, "active")
    waiting = (await workbench.call("POST", "requests", {"what": "gpu"}))[1]["id"]

    async def told_of_queue() -> Any:
        found = (await workbench.events(socket, until="request"))[-1]["data"]
        return found["id"] == waiting and found["position"] == 1

    await workbench.eventually(told_of_queue, "the queued request")
    await workbench.call("DELETE", f"leases/{number}")

    async def told_of_end() -> Any:
        found = (await workbench.events(socket, until="lease"))[-1]["data"]
        return found["id"] == number and found["state"] == "ended" and found["cleared"]

    await workbench.eventually(told_of_end, "the end of the lease")
    socket.close()


async def test_what_is_free_is_told_again_when_a_lease_changes_it(workbench: Any) -> None:
    socket = await workbench.live()
    free = (await workbench.events(socket, until="hello"))[-1]["data"]["units_free"]
    await workbench.call("POST", "requests", {"what": "gpu"})
    told = (await workbench.events(socket, until="hello"))[-1]["data"]
    assert told["units_free"] == pytest.approx(free - 1)
    assert told["quotas"][0]["held"] == 1.0
    socket.close()


async def test_a_clean_stop_closes_the_socket_as_going_away(workbench: Any) -> None:
    socket = await workbench.live()
    await workbench.events(socket, until="fleet")
    await workbench.app.stop_extension()
    while await asyncio.wait_for(socket.read_message(), 10) is not None:
        pass
    assert socket.close_code == 1001


async def test_two_watchers_get_the_same_bytes_of_a_sample(workbench: Any) -> None:
    sockets = [await workbench.live(), await workbench.live()]
    seen: list[dict[float, str]] = []
    for socket in sockets:
        texts = {}
        while len(texts) < 4:
            text = await asyncio.wait_for(socket.read_message(), 10)
            found = json.loads(text)
            if found["type"] == "sample":
                texts[found["data"]["time"]] = text
        seen.append(texts)
    common = seen[0].keys() & seen[1].keys()
    assert common, "both saw at least one sample of the same moment"
    assert all(seen[0][time] == seen[1][time] for time in common)
    for socket in sockets:
        socket.close()


async def test_the_sampler_is_fast_only_while_a_visible_window_watches(workbench: Any) -> None:
    telemetry = (await workbench.app.workbench.services()).telemetry
    slow = telemetry.period
    socket = await workbench.live()
    await workbench.events(socket, until="sample")
    fast = telemetry.period
    assert fast < slow

    async def is_slow() -> bool:
        return bool(telemetry.period == slow)

    async def is_fast() -> bool:
        return bool(telemetry.period == fast)

    await socket.write_message('{"hidden": true}')
    await workbench.eventually(is_slow, "hidden")
    await socket.write_message('{"hidden": false}')
    await workbench.eventually(is_fast, "shown again")
    await socket.write_message("nonsense")
    socket.close()
    await workbench.eventually(is_slow, "closed")


async def test_a_reader_that_stops_reading_gets_the_newest_sample_later(workbench: Any) -> None:
    """Its socket is full: samples are dropped, memory stays bounded, the other reader goes on."""
    stuck, good = await workbench.live(), await workbench.live()
    await workbench.events(stuck, until="fleet")
    hub = workbench.app._hub
    watcher = next(iter(hub._watchers))
    big = event("sample", "", {"time": 0, "filler": "x" * 2_000_000}).data
    reads = 0
    while watcher.dropped < 3:
        # Nobody reads `stuck`; `good` reads all that comes.
        hub.sample(big)
        await asyncio.wait_for(good.read_message(), 10)
        reads += 1
        assert reads < 200, "the stuck reader's socket never filled"
        watcher = max(hub._watchers, key=lambda one: one.dropped)
    assert watcher.waiting <= 3
    stuck.protocol.stream.close()  # its machine is gone

    async def forgotten() -> bool:
        return bool(hub.watchers == 1)

    await workbench.eventually(forgotten, "a watcher whose connection broke")
    good.close()


# --- the hub by itself ----------------------------------------------------------------------------


class Objects:
    """What the hub sees of services: objects by who may see them, and how often it looks."""

    def __init__(self) -> None:
        self.of: dict[str, dict[str, Any]] = {"ana": {}, "bo": {}}
        self.looks = 0

    async def look(self, who: Principal, news: list[News] | None) -> list[Message]:
        self.looks += 1
        mine = self.of[who.user]
        wanted = mine if news is None else {one.subject for one in news}
        return [event("job", name, mine[name]) for name in wanted if name in mine]


class Reader:
    """A watcher's other end. `gate` closed: it does not read."""

    def __init__(self, who: Principal) -> None:
        self.got: list[bytes] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.watcher = Watcher(who, self.take)
        self.task = asyncio.create_task(self.watcher.pump())

    async def take(self, data: bytes) -> None:
        await self.gate.wait()
        self.got.append(data)

    async def has(self, count: int) -> list[bytes]:
        async with asyncio.timeout(5):
            while len(self.got) < count:
                await asyncio.sleep(0.005)
        return self.got


async def test_news_reach_only_those_who_may_see_the_object(jp_asyncio_loop: Any) -> None:
    objects = Objects()
    hub = Hub(objects.look, settle=0.01)
    ana, bo = Reader(ANA), Reader(BO)
    await hub.join(ana.watcher)
    await hub.join(bo.watcher)
    objects.of["ana"]["j1"] = {"state": "running"}
    hub.tell(News("job", "j1", "ana"))
    objects.of["bo"]["j2"] = {"state": "running"}
    hub.tell(News("job", "j2", "bo"))
    assert json.loads((await ana.has(1))[0])["data"] == {"state": "running"}
    await bo.has(1)
    assert len(ana.got) == len(bo.got) == 1
    await hub.close()


async def test_one_look_serves_all_windows_of_a_person_and_a_burst_is_one_look(
    jp_asyncio_loop: Any,
) -> None:
    objects = Objects()
    hub = Hub(objects.look, settle=0.02)
    windows = [Reader(ANA) for _ in range(3)]
    for window in windows:
        await hub.join(window.watcher)
    looks = objects.looks
    for step in range(50):
        objects.of["ana"]["j1"] = {"step": step}
        hub.tell(News("job", "j1", "ana"))
    for window in windows:
        assert json.loads((await window.has(1))[0])["data"] == {"step": 49}
    assert objects.looks == looks + 1
    await hub.close()


async def test_what_did_not_change_is_not_told_again(jp_asyncio_loop: Any) -> None:
    objects = Objects()
    objects.of["ana"] = {"j1": 1, "j2": 1}
    hub = Hub(objects.look, settle=0.01)
    ana = Reader(ANA)
    await hub.join(ana.watcher)
    await ana.has(2)
    objects.of["ana"]["j2"] = 2
    hub.tell(News("job", "j1", "ana"))
    hub.tell(News("job", "j2", "ana"))
    assert json.loads((await ana.has(3))[2]) == {"type": "job", "data": 2}
    assert len(ana.got) == 3
    await hub.close()


async def test_a_slow_reader_keeps_the_newest_of_each_and_the_others_get_all(
    jp_asyncio_loop: Any,
) -> None:
    hub = Hub(Objects().look)
    slow, quick = Reader(ANA), Reader(BO)
    await hub.join(slow.watcher)
    await hub.join(quick.watcher)
    slow.gate.clear()
    for number in range(100):
        hub.sample(b"%d" % number)
        await quick.has(number + 1)
    assert slow.watcher.dropped >= 98
    assert slow.watcher.waiting == 1
    slow.gate.set()
    assert (await slow.has(2))[-1] == b"99", "the newest one comes last"
    assert quick.got == [b"%d" % number for number in range(100)]
    await hub.close()


async def test_news_come_before_samples_and_no_news_is_lost_to_a_slow_reader(
    jp_asyncio_loop: Any,
) -> None:
    reader = Reader(ANA)
    reader.gate.clear()
    reader.watcher.sample(b"first")  # goes out at once, and hangs
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    reader.watcher.sample(b"second")
    for step in range(3):
        for name in ("a", "b"):
            reader.watcher.event(Message(("job", name), f"{name}{step}".encode()))
    reader.gate.set()
    assert await reader.has(4) == [b"first", b"a2", b"b2", b"second"]
    reader.watcher.end()
    await reader.task


async def test_somebody_elses_request_that_leaves_the_queue_is_told_once_more(
    jp_asyncio_loop: Any,
) -> None:
    waiting = wire.Request(
        id=7, state="queued", user="", mine=False, what="gpu", profile="whole", pool="default",
        count=1, seconds=60, same_node=False, priority=0, purpose="kernel", name="", units=1.0,
        created_at=0.0, position=1,
    )  # fmt: skip
    there = True

    async def look(who: Principal, news: list[News] | None) -> list[Message]:
        if there:
            return [event("request", "7", waiting)]
        return [Message(("request", "7"), b"")]

    hub = Hub(look, settle=0.01)
    ana = Reader(ANA)
    await hub.join(ana.watcher)
    await ana.has(1)
    there = False
    hub.tell(News("request", "7", "bo", "granted"))
    last = json.loads((await ana.has(2))[1])["data"]
    assert (last["state"], last["position"], last["user"]) == ("granted", None, "")
    hub.tell(News("request", "7", "bo", "granted"))
    await hub.close()


async def test_a_failing_look_is_logged_and_the_next_news_come_through(
    jp_asyncio_loop: Any, caplog: pytest.LogCaptureFixture
) -> None:
    objects = Objects()
    broken = False

    async def look(who: Principal, news: list[News] | None) -> list[Message]:
        if broken:
            raise RuntimeError("no store")
        return await objects.look(who, news)

    hub = Hub(look, settle=0.01)
    ana = Reader(ANA)
    await hub.join(ana.watcher)
    broken = True
    hub.tell(News("job", "j1", "ana"))
    async with asyncio.timeout(5):
        while "could not be told" not in caplog.text:
            await asyncio.sleep(0.01)
    broken = False
    objects.of["ana"]["j1"] = 1
    hub.tell(News("job", "j1", "ana"))
    await ana.has(1)
    await hub.close()
