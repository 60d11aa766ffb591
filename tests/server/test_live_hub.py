"""The hub by itself: what reaches whom, in which order, and what a slow reader costs."""

from __future__ import annotations

import asyncio
import json
from itertools import pairwise
from typing import Any

import pytest

from gpu_workbench import protocol as wire
from gpu_workbench.protocol.ticks import HEADER
from gpu_workbench_server.errors import Unavailable
from gpu_workbench_server.ports import News, Principal
from gpu_workbench_server.web.live import Hub
from gpu_workbench_server.web.live_ticks import Ready
from gpu_workbench_server.web.views import Message, event
from tests.support.windows import ANA, BO, Objects, Reader


def a_gpu(uuid: str) -> wire.GpuSample:
    return wire.GpuSample(
        uuid=uuid, activity=0.5, memory_bytes=1, power_watts=None, temperature_c=None
    )


def a_sample(time: float) -> wire.Sample:
    return wire.Sample(time=time, simulated=True, gpus=[a_gpu("GPU-0")], slices=[])


def a_tick(number: int) -> Ready:
    return Ready(None, (), b"tick %d" % number)


def times(messages: list[bytes]) -> list[float]:
    """Of the ticks among them: two bytes of framing, then the tick."""
    return [HEADER.unpack_from(one, 2)[-1] for one in messages if not one.startswith(b"{")]


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


async def test_windows_of_a_person_that_come_together_share_one_look(jp_asyncio_loop: Any) -> None:
    objects = Objects()
    objects.of["ana"]["j1"] = {"step": 1}
    hub = Hub(objects.look)
    windows = [Reader(ANA) for _ in range(20)]
    await asyncio.gather(*(hub.join(window.watcher) for window in windows))
    assert objects.looks <= 2 and hub.watchers == 20
    for window in windows:
        assert json.loads((await window.has(1))[0])["data"] == {"step": 1}
    await hub.close()


async def test_a_look_that_fails_is_told_to_each_who_comes_and_nobody_is_let_in(
    jp_asyncio_loop: Any,
) -> None:
    async def look(who: Principal, news: list[News] | None) -> list[Message]:
        raise Unavailable("not now")

    hub = Hub(look)
    readers = [Reader(ANA) for _ in range(3)]
    told = await asyncio.gather(*(hub.join(one.watcher) for one in readers), return_exceptions=True)
    for reader in readers:
        reader.watcher.end()
        await reader.task
    assert [type(one) for one in told] == [Unavailable] * 3
    assert hub.watchers == 0
    await hub.close()


async def test_what_did_not_change_is_not_told_again(jp_asyncio_loop: Any) -> None:
    objects = Objects()
    objects.of["ana"] = {"j1": {"step": 1}, "j2": {"step": 1}}
    hub = Hub(objects.look, settle=0.01)
    ana = Reader(ANA)
    await hub.join(ana.watcher)
    await ana.has(2)
    objects.of["ana"]["j2"] = {"step": 2}
    hub.tell(News("job", "j1", "ana"))
    hub.tell(News("job", "j2", "ana"))
    assert json.loads((await ana.has(3))[2]) == {"type": "job", "data": {"step": 2}}
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
        hub.sample(a_sample(number))
        await quick.has(2 + number + 1)  # two layouts come first
    assert slow.watcher.dropped >= 97
    assert slow.watcher.waiting <= 3
    slow.gate.set()
    await slow.has(3)
    assert times(slow.got)[-1] == 99, "the newest one comes last"
    assert times(quick.got) == list(range(100))
    await hub.close()


async def test_many_watchers_are_served_one_after_the_other(jp_asyncio_loop: Any) -> None:
    hub = Hub(Objects().look, windows=100)
    readers = [Reader(ANA) for _ in range(40)]
    for reader in readers:
        await hub.join(reader.watcher)
    hub.sample(a_sample(1))
    for reader in readers:
        await reader.has(3)  # two layouts and the tick
    hub.sample(a_sample(2))
    counts = []
    while (served := sum(len(times(reader.got)) - 1 for reader in readers)) < len(readers):
        counts.append(served)
        await asyncio.sleep(0)  # what the event loop does meanwhile
    steps = [after - before for before, after in pairwise([*counts, served])]
    assert max(steps) <= 2 and len([step for step in steps if step]) >= len(readers) / 2
    await hub.close()


async def test_news_come_before_ticks_and_no_news_is_lost_to_a_slow_reader(
    jp_asyncio_loop: Any,
) -> None:
    reader = Reader(ANA)
    reader.gate.clear()
    reader.watcher.tick(a_tick(1))  # goes out at once, and hangs
    await asyncio.sleep(0)
    reader.watcher.tick(a_tick(2))
    for step in range(3):
        for name in ("a", "b"):
            reader.watcher.event(Message(("job", name), f"{name}{step}".encode()))
    reader.gate.set()
    assert await reader.has(4) == [b"tick 1", b"a2", b"b2", b"tick 2"]
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


async def test_a_window_that_stays_open_does_not_collect_what_is_over(jp_asyncio_loop: Any) -> None:
    objects = Objects()
    hub = Hub(objects.look, settle=0.001)
    ana = Reader(ANA)
    await hub.join(ana.watcher)
    for number in range(100):
        for state in ("running", "succeeded"):
            objects.of["ana"] = {f"j{number}": {"state": state}}
            seen = len(ana.got)
            hub.tell(News("job", f"j{number}", "ana"))
            await ana.has(seen + 1)
    assert len(ana.got) == 200
    assert hub._sent[ANA] == {}
    await hub.close()


async def test_a_window_that_opens_does_not_have_the_others_told_again_what_is_over(
    jp_asyncio_loop: Any,
) -> None:
    objects = Objects()
    objects.of["ana"] = {"j1": {"state": "failed"}, "j2": {"state": "running"}}
    hub = Hub(objects.look, settle=0.001)
    first, second = Reader(ANA), Reader(ANA)
    await hub.join(first.watcher)
    await first.has(2)
    objects.of["ana"]["j2"] = {"state": "stopped"}  # and nobody said so
    await hub.join(second.watcher)
    assert len(await second.has(2)) == 2
    assert json.loads((await first.has(3))[2])["data"] == {"state": "stopped"}
    await asyncio.sleep(0.02)
    assert len(first.got) == 3 and hub._sent[ANA] == {}
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
    async with asyncio.timeout(60):
        while "could not be told" not in caplog.text:
            await asyncio.sleep(0.01)
    broken = False
    objects.of["ana"]["j1"] = {"step": 1}
    hub.tell(News("job", "j1", "ana"))
    await ana.has(1)
    await hub.close()
