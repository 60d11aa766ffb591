"""Both ends of the live hub for its tests: objects to look at, and windows that read or don't."""

from __future__ import annotations

import asyncio
from typing import Any

from gpu_workbench_server.ports import News, Principal
from gpu_workbench_server.web.live_watcher import Watcher
from gpu_workbench_server.web.views import Message, event

ANA = Principal("ana")
BO = Principal("bo")


class Objects:
    """What the hub sees of services: objects by who may see them, and how often it looks."""

    def __init__(self) -> None:
        self.of: dict[str, dict[str, Any]] = {"ana": {}, "bo": {}}
        self.looks = 0

    async def look(self, who: Principal, news: list[News] | None) -> list[Message]:
        self.looks += 1
        await asyncio.sleep(0)  # as a real look, in another thread
        mine = self.of[who.user]
        wanted = mine if news is None else {one.subject for one in news}
        return [event("job", name, mine[name]) for name in wanted if name in mine]


class Reader:
    """A watcher's other end. `gate` closed: it does not read, and one message fits in the pipe."""

    def __init__(self, who: Principal) -> None:
        self.got: list[bytes] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.pipe: list[bytes] = []
        self.watcher = Watcher(who, self)
        self.task = asyncio.create_task(self.watcher.pump())

    async def send(self, data: bytes) -> None:
        await self.drain()
        self.got.append(data)

    def offer(self, frame: bytes) -> bool:
        if self.pipe:
            return False
        (self.got if self.gate.is_set() else self.pipe).append(frame)
        return True

    async def drain(self) -> None:
        await self.gate.wait()
        self.got += self.pipe
        self.pipe.clear()

    async def has(self, count: int) -> list[bytes]:
        async with asyncio.timeout(60):
            while len(self.got) < count:
                await asyncio.sleep(0.005)
        return self.got
