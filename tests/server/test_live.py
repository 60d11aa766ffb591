"""The WebSocket: everything at first, then news; a slow reader harms nobody."""

from __future__ import annotations

import asyncio
import contextlib
import json
from pathlib import Path
from typing import Any

import psutil
import pytest
from tornado.websocket import WebSocketClosedError

from gpu_workbench import protocol as wire
from gpu_workbench.protocol.ticks import HEADER


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


@pytest.fixture
def quick_notice(settings: dict[str, Any], tmp_path: Path, request: pytest.FixtureRequest) -> Any:
    policy = tmp_path / "policy.toml"
    policy.write_text('[leases]\nnotice = "3s"\n')
    settings["policy_file"] = str(policy)
    return request.getfixturevalue("workbench")


async def test_a_watcher_that_was_away_is_told_of_a_notice_that_stands(quick_notice: Any) -> None:
    number = (await quick_notice.call("POST", "requests", {"what": "gpu", "seconds": 7}))[1]["id"]
    await quick_notice.call("POST", "leases/claim", {"path": "", "kernel_id": "k1"})
    there = await quick_notice.live()
    at_once = (await quick_notice.events(there, until="notice"))[-1]["data"]
    came_later = await quick_notice.live()
    later = (await quick_notice.events(came_later, until="notice"))[-1]["data"]
    for told in (at_once, later):
        assert (told["lease_id"], told["code"]) == (number, "ends_soon")
    assert at_once["at"] == later["at"]


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
    while await asyncio.wait_for(socket.read_message(), 60) is not None:
        pass
    assert socket.close_code == 1001


async def test_two_watchers_get_the_same_bytes_of_a_tick(workbench: Any) -> None:
    sockets = [await workbench.live(), await workbench.live()]
    seen: tuple[set[bytes], set[bytes]] = (set(), set())
    async with asyncio.timeout(60):  # one may have joined some ticks before the other
        while not seen[0] & seen[1]:
            for socket, ticks in zip(sockets, seen, strict=True):
                told = await socket.read_message()
                assert told is not None
                if isinstance(told, bytes):
                    ticks.add(told)
    for socket in sockets:
        socket.close()


async def test_a_watcher_sees_the_fleet_and_every_metric_of_the_gpu_it_looks_at(
    workbench: Any,
) -> None:
    (fleet,) = await workbench.ticks(await workbench.live())
    assert len(fleet.gpus) == 2
    wanted = next(iter(fleet.gpus))
    socket = await workbench.live()
    await socket.write_message(json.dumps({"gpu": wanted}))
    one = (await workbench.ticks(socket, until=lambda tick: len(tick.gpus) == 1))[-1]
    assert list(one.gpus) == [wanted]
    assert {"pcie_tx_bytes_s", "dram_activity", "throttle"} <= one.gpus[wanted].keys()
    assert one.gpus[wanted]["memory_bytes"] == pytest.approx(
        fleet.gpus[wanted]["memory_bytes"], abs=1 << 20
    )


async def test_a_lease_makes_a_new_layout_of_slices(workbench: Any) -> None:
    socket = await workbench.live()
    assert (await workbench.ticks(socket))[0].slices == {}
    number = (await workbench.call("POST", "requests", {"what": "10GB"}))[1]["id"]
    told: list[Any] = []
    while not any(f"{number}.0" in one["data"]["ids"] for one in told):
        told += await workbench.events(socket, until="layout")
        told = [one for one in told if one["type"] == "layout"]
    socket.close()


async def test_the_sampler_is_fast_only_while_a_visible_window_watches(workbench: Any) -> None:
    telemetry = (await workbench.app.workbench.services()).telemetry
    slow = telemetry.period
    socket = await workbench.live()
    await workbench.ticks(socket)
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


@pytest.mark.parametrize("changed", [{"live_windows": 2}])
async def test_a_person_may_have_only_so_many_windows_open(workbench: Any) -> None:
    first, second = await workbench.live(), await workbench.live()
    await workbench.events(first, until="fleet")
    await workbench.events(second, until="fleet")
    third = await workbench.live()
    assert await asyncio.wait_for(third.read_message(), 60) is None
    assert third.close_code == 4029 and "close some" in third.close_reason
    first.close()

    async def room() -> bool:
        return bool(workbench.app._hub.watchers == 1)

    await workbench.eventually(room, "one has gone")
    await workbench.ticks(await workbench.live())


@pytest.mark.parametrize("changed", [{"live_windows": 2}])
async def test_windows_that_open_all_at_once_are_no_more_than_one_may_have(workbench: Any) -> None:
    windows = await asyncio.gather(*(workbench.live() for _ in range(6)))

    async def refused() -> bool:
        return sum(one.close_code == 4029 for one in windows) == 4

    for one in windows:
        await asyncio.wait_for(one.read_message(), 60)
    await workbench.eventually(refused, "four are sent away")
    assert workbench.app._hub.watchers == 2


async def test_who_talks_too_much_is_sent_away_and_the_others_stay(workbench: Any) -> None:
    loud, quiet = await workbench.live(), await workbench.live()
    await workbench.events(loud, until="fleet")
    with contextlib.suppress(WebSocketClosedError):
        for _ in range(50):
            await loud.write_message('{"gpu": null}')
    while await asyncio.wait_for(loud.read_message(), 60) is not None:
        pass
    assert loud.close_code == 1008
    await workbench.ticks(quiet)


async def test_a_reader_that_stops_reading_gets_the_newest_tick_later(workbench: Any) -> None:
    """Its socket is full: ticks are dropped, memory stays bounded, the other reader goes on."""
    stuck, good = await workbench.live(), await workbench.live()
    for one in (stuck, good):  # before that it may not have joined, and would miss ours
        await workbench.ticks(one)
    hub = await only_ours(workbench)
    gpus = [a_gpu(f"GPU-{number:036}") for number in range(20_000)]
    sent, watcher = 0, next(iter(hub._watchers))
    while watcher.dropped < 3:
        # Nobody reads `stuck`; `good` reads all that comes.
        sent += 1
        hub.sample(wire.Sample(time=float(sent), simulated=True, gpus=gpus, slices=[]))
        while True:
            told = await asyncio.wait_for(good.read_message(), 60)
            if isinstance(told, bytes) and HEADER.unpack_from(told)[-1] == sent:
                break
        assert sent < 200, "the stuck reader's socket never filled"
        watcher = max(hub._watchers, key=lambda one: one.dropped)
    assert watcher.waiting <= 3
    newest = 0.0
    while newest != sent:
        told = await asyncio.wait_for(stuck.read_message(), 60)
        if isinstance(told, bytes):
            newest = HEADER.unpack_from(told)[-1]
    stuck.protocol.stream.close()  # its machine is gone

    async def forgotten() -> bool:
        return bool(hub.watchers == 1)

    await workbench.eventually(forgotten, "a watcher whose connection broke")
    good.close()


async def test_four_readers_that_read_nothing_cost_less_than_five_megabytes(workbench: Any) -> None:
    sockets = [await workbench.live() for _ in range(4)]
    for socket in sockets:
        await workbench.ticks(socket)
    hub = await only_ours(workbench)
    gpus = [a_gpu(f"GPU-{number:036}") for number in range(5_000)]

    async def push(count: int) -> None:
        for number in range(count):
            hub.sample(wire.Sample(time=float(number), simulated=True, gpus=gpus, slices=[]))
            await asyncio.sleep(0.001)

    await push(50)  # every buffer on the way is full
    before = psutil.Process().memory_info().rss
    await push(400)  # of 50 kB each: 80 MB if they were kept
    assert min(watcher.dropped for watcher in hub._watchers) > 100, "nobody has read them"
    assert psutil.Process().memory_info().rss - before < 5_000_000
    for socket in sockets:
        socket.protocol.stream.close()


async def only_ours(workbench: Any) -> Any:
    """The hub with no samples but the test's: the sampler's own could take the place of one."""
    (await workbench.app.workbench.services()).telemetry.stop()
    return workbench.app._hub


def a_gpu(uuid: str) -> wire.GpuSample:
    return wire.GpuSample(
        uuid=uuid, activity=0.5, memory_bytes=1, power_watts=None, temperature_c=None
    )
