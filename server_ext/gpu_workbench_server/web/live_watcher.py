"""One open window: what it looks at, and what was not sent to it yet. Lives on the event loop.

A tick goes straight out where nothing is in its way; otherwise it waits, and a newer one takes its
place. So what a window costs is bounded by what it looks at, however slowly it reads.

A hidden window is sent nothing. The newest of each object waits for it until it is shown again, and
the notices; where that becomes too much only the notices wait, and then the window begins anew.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from gpu_workbench import protocol as wire

from ..ports import Principal
from .live_ticks import Ready, View
from .views import Key, Message

MAX_NOTICES = 100
MAX_HELD = 500
"""Messages that wait for a hidden window, beside notices: objects come and go for days."""


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
        self.behind = False
        """It was hidden for so long that it has to begin anew: `pump` ends when it is shown."""
        self._outlet = outlet
        self._events: dict[Key, bytes] = {}
        self._awaited: tuple[Key, ...] = ()
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
        if self.hidden and not looking.hidden:
            # Notices last: the window knows by then which leases are left.
            self._events = dict(sorted(self._events.items(), key=lambda one: _is_notice(one[0])))
        self.looking = looking
        self._awaited = tuple(("lease", str(number)) for number in looking.awaits)
        one = () if looking.gpu is None else (looking.gpu,)
        self.shown = shown = () if looking.hidden else (None, *one)
        self._ticks = {view: frame for view, frame in self._ticks.items() if view in shown}
        self._told = {view: told for view, told in self._told.items() if view in shown}
        self._wake.set()

    def event(self, message: Message) -> None:
        """Queue it, in place of an older one of the same object."""
        if self.behind and not self._stays(message.key):
            return
        self._events[message.key] = message.data
        if _is_notice(message.key):
            notices = [key for key in self._events if _is_notice(key)]
            for key in notices[:-MAX_NOTICES]:
                del self._events[key]
        elif self.hidden and len(self._events) > MAX_HELD + MAX_NOTICES:
            self.behind = True
            self._events = {key: data for key, data in self._events.items() if self._stays(key)}
        self._wake.set()

    def _stays(self, key: Key) -> bool:
        """Whether it is told even to a window that begins anew."""
        return _is_notice(key) or key in self._awaited

    def _next(self) -> Key | None:
        """The event that is to go out first."""
        if self.hidden:
            return next((key for key in self._awaited if key in self._events), None)
        return next(iter(self._events), None)

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
        """Send what could not go straight out, until `end` or, where the window is `behind`, until
        it is shown and has its notices. Raises what the outlet raises."""
        while not self._ended:
            await self._wake.wait()
            self._wake.clear()
            self._busy = True
            while not self._ended:
                if (key := self._next()) is not None:
                    await self._outlet.send(self._events.pop(key))
                    continue
                if not self._ticks:
                    break
                await self._outlet.drain()
                if self._ticks and self._next() is None:
                    self._outlet.offer(self._ticks.pop(next(iter(self._ticks))))
            self._busy = False
            if self.behind and not self.hidden:
                return

    def end(self) -> None:
        """Nothing is sent any more."""
        self._ended = True
        self._wake.set()


def _is_notice(key: Key) -> bool:
    return key[0] == "notice"
