"""News and samples, fanned out to whoever watches. Knows no WebSocket: a watcher is a `send`.

Rules:
- one look and one encoding per object and person, however many windows that person has open;
- a sample is one piece of bytes for everybody;
- each watcher keeps at most one unsent message per object and one sample, the newest: who reads
  slowly sees fewer steps, never slows the others, and costs bounded memory;
- `tell` and `sample` may be called from any thread and never block.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from ..ports import News, Principal
from .views import Key, Message, left

log = logging.getLogger(__name__)

SETTLE_SECONDS = 0.05
"""News of one burst are looked at together."""

MAX_NOTICES = 100

Looker = Callable[[Principal, list[News] | None], Awaitable[list[Message]]]
"""How the objects are now, for that person: those of the news, or all of them for None."""


class Watcher:
    """One open window. `pump` sends in order of first news; lives on the event loop."""

    def __init__(self, who: Principal, send: Callable[[bytes], Awaitable[Any]]) -> None:
        self.who = who
        self.hidden = False
        self.dropped = 0
        """Samples that were never sent because a newer one came first."""
        self._send = send
        self._events: dict[Key, bytes] = {}
        self._sample: bytes | None = None
        self._wake = asyncio.Event()
        self._ended = False

    def event(self, message: Message) -> None:
        """Queue it, in place of an older one of the same object."""
        self._events[message.key] = message.data
        if message.key[0] == "notice":
            notices = [key for key in self._events if key[0] == "notice"]
            for key in notices[:-MAX_NOTICES]:
                del self._events[key]
        self._wake.set()

    def sample(self, data: bytes) -> None:
        """Queue it, in place of an unsent one; nothing while the window is hidden."""
        if self.hidden:
            return
        if self._sample is not None:
            self.dropped += 1
        self._sample = data
        self._wake.set()

    @property
    def waiting(self) -> int:
        """Messages not sent yet."""
        return len(self._events) + (self._sample is not None)

    async def pump(self) -> None:
        """Send until `end`, or until `send` raises."""
        while not self._ended:
            await self._wake.wait()
            self._wake.clear()
            while not self._ended and (data := self._next()) is not None:
                await self._send(data)

    def end(self) -> None:
        """Nothing is sent any more."""
        self._ended = True
        self._wake.set()

    def _next(self) -> bytes | None:
        if self._events:
            return self._events.pop(next(iter(self._events)))
        data, self._sample = self._sample, None
        return data


class Hub:
    """All watchers of one server. Implements `ports.EventSink`.

    `watch` and `unwatch` tell the sampler that somebody looks, once for each visible window.
    """

    def __init__(
        self,
        look: Looker,
        watch: Callable[[], object] = lambda: None,
        unwatch: Callable[[], object] = lambda: None,
        settle: float = SETTLE_SECONDS,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._look = look
        self._watch = watch
        self._unwatch = unwatch
        self._settle = settle
        self._watchers: set[Watcher] = set()
        self._looking = asyncio.Lock()  # looks come one after the other, so the last is the newest
        self._sent: dict[Principal, dict[Key, bytes]] = {}
        self._lock = threading.Lock()  # guards the three below, which other threads write
        self._pending: dict[Key, News] = {}
        self._newest: bytes | None = None
        self._closed = False
        self._flush: asyncio.Task[None] | None = None

    @property
    def watchers(self) -> int:
        return len(self._watchers)

    # --- from any thread ------------------------------------------------------------------------

    def tell(self, news: News) -> None:
        """Something changed."""
        with self._lock:
            first = not self._pending
            self._pending[(news.type, news.subject)] = news
        if first:
            self._call(self._wake)

    def sample(self, data: bytes) -> None:
        """A new sample, encoded as a `wire.Event`."""
        with self._lock:
            first, self._newest = self._newest is None, data
        if first:
            self._call(self._spread)

    def _call(self, what: Callable[[], None]) -> None:
        if self._closed:
            return
        try:
            self._loop.call_soon_threadsafe(what)
        except RuntimeError:
            self._closed = True  # the loop is closed: nobody watches any more

    # --- on the event loop ----------------------------------------------------------------------

    async def join(self, watcher: Watcher) -> None:
        """Add a watcher and give it everything. Raises what the services raise."""
        async with self._looking:
            messages = await self._look(watcher.who, None)
            self._deliver(watcher.who, (), messages)  # its other windows may learn something too
            self._watchers.add(watcher)
            for message in messages:
                watcher.event(message)
        if not watcher.hidden:
            self._watch()

    def leave(self, watcher: Watcher) -> None:
        """Idempotent."""
        if watcher not in self._watchers:
            return
        self._watchers.discard(watcher)
        watcher.end()
        if not watcher.hidden:
            self._unwatch()
        if all(other.who != watcher.who for other in self._watchers):
            self._sent.pop(watcher.who, None)

    def hide(self, watcher: Watcher, hidden: bool) -> None:
        """A hidden window gets no samples, and does not keep the sampler in its fast rhythm."""
        if watcher.hidden == hidden:
            return
        watcher.hidden = hidden
        if watcher in self._watchers:
            (self._unwatch if hidden else self._watch)()

    async def close(self) -> None:
        """No news any more; every watcher ends."""
        self._closed = True
        if self._flush is not None:
            self._flush.cancel()
            await asyncio.gather(self._flush, return_exceptions=True)
        for watcher in list(self._watchers):
            self.leave(watcher)
        await asyncio.sleep(0)  # for those that wait to see it

    def _spread(self) -> None:
        with self._lock:
            data, self._newest = self._newest, None
        if data is not None:
            for watcher in self._watchers:
                watcher.sample(data)

    def _wake(self) -> None:
        if not self._closed and (self._flush is None or self._flush.done()):
            self._flush = self._loop.create_task(self._settle_and_flush())

    async def _settle_and_flush(self) -> None:
        while True:
            await asyncio.sleep(self._settle)
            with self._lock:
                news = list(self._pending.values())
            try:
                async with self._looking:
                    for who in {watcher.who for watcher in self._watchers}:
                        messages = await self._look(who, news)
                        if any(watcher.who == who for watcher in self._watchers):
                            self._deliver(who, news, messages)
            except Exception:
                log.exception("GPU Workbench: news could not be told")
            with self._lock:
                for one in news:  # what was told again meanwhile stays
                    if self._pending.get((one.type, one.subject)) is one:
                        del self._pending[(one.type, one.subject)]
                if not self._pending:
                    return

    def _deliver(self, who: Principal, news: Iterable[News], messages: list[Message]) -> None:
        sent = self._sent.setdefault(who, {})
        states: dict[Key, Any] = {(one.type, one.subject): one.payload for one in news}
        for key, data in messages:
            if not data:  # gone from this person's sight
                last = sent.pop(key, None)
                if last is None:
                    continue
                data = left(last, states[key])
            elif sent.get(key) == data:
                continue
            else:
                sent[key] = data
            for watcher in self._watchers:
                if watcher.who == who:
                    watcher.event(Message(key, data))
