"""One open window: what it looks at, and what was not sent to it yet. Lives on the event loop.

A tick goes straight out where nothing is in its way; otherwise it waits, and a newer one takes its
place. So what a window costs is bounded by what it looks at, however slowly it reads.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from gpu_workbench import protocol as wire

from ..ports import Principal
from .live_ticks import Ready, View
from .views import Key, Message

MAX_NOTICES = 100


class Outlet(Protocol):
    """The way to the client."""

    async def send(self, data: bytes) -> None:
        """Send a text message, and wait until it has gone out: here a slow reader waits."""

    def offer(self, frame: bytes) -> bool:
        """Send a whole frame if it need not wait for an earlier one; False where it would."""

    async def drain(self) -> None:
        """Wait until everything has gone out."""


class Watcher:
    """`pump` sends in order of first news."""

    def __init__(self, who: Principal, outlet: Outlet) -> None:
        self.who = who
        self.looking = wire.Looking()
        self.shown: tuple[View, ...] = (None,)
        """The views that it is to get ticks of."""
        self.dropped = 0
        """Ticks that were never sent because a newer one came first."""
        self._outlet = outlet
        self._events: dict[Key, bytes] = {}
        self._ticks: dict[View, bytes] = {}
        self._told: dict[View, tuple[Message, ...]] = {}
        """The layouts that it has."""
        self._wake = asyncio.Event()
        self._busy = False
        self._ended = False

    @property
    def hidden(self) -> bool:
        return self.looking.hidden

    def show(self, looking: wire.Looking) -> None:
        """The window shows something else now."""
        self.looking = looking
        one = () if looking.gpu is None else (looking.gpu,)
        self.shown = shown = () if looking.hidden else (None, *one)
        self._ticks = {view: frame for view, frame in self._ticks.items() if view in shown}
        self._told = {view: told for view, told in self._told.items() if view in shown}

    def event(self, message: Message) -> None:
        """Queue it, in place of an older one of the same object."""
        self._events[message.key] = message.data
        if message.key[0] == "notice":
            notices = [key for key in self._events if key[0] == "notice"]
            for key in notices[:-MAX_NOTICES]:
                del self._events[key]
        self._wake.set()

    def tick(self, ready: Ready) -> None:
        """Send it or queue it, in place of an unsent one; nothing that the window does not show."""
        if self._ended or ready.view not in self.shown:
            return
        told = self._told.get(ready.view, ())
        if told is not ready.layouts:
            for layout in ready.layouts:
                if not any(layout is one for one in told):
                    self.event(layout)
            self._told[ready.view] = ready.layouts
        if not self.waiting and not self._busy and self._outlet.offer(ready.frame):
            return
        if ready.view in self._ticks:
            self.dropped += 1
        self._ticks[ready.view] = ready.frame
        self._wake.set()

    @property
    def waiting(self) -> int:
        """Messages not sent yet."""
        return len(self._events) + len(self._ticks)

    async def pump(self) -> None:
        """Send what could not go straight out, until `end`, or until the outlet raises."""
        while not self._ended:
            await self._wake.wait()
            self._wake.clear()
            self._busy = True
            while not self._ended and self.waiting:
                if self._events:
                    await self._outlet.send(self._events.pop(next(iter(self._events))))
                    continue
                await self._outlet.drain()
                if not self._events and self._ticks:
                    self._outlet.offer(self._ticks.pop(next(iter(self._ticks))))
            self._busy = False

    def end(self) -> None:
        """Nothing is sent any more."""
        self._ended = True
        self._wake.set()
