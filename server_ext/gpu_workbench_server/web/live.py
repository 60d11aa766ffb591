"""News and ticks, fanned out to whoever watches. Knows no WebSocket: a watcher has an `Outlet`.

Rules:
- one look and one encoding per object and person, however many windows that person has open;
- a tick is one piece of bytes for all who look at the same;
- each watcher keeps at most one unsent message per object and one tick per view, the newest: who
  reads slowly sees fewer steps, never slows the others, and costs bounded memory;
- a hidden watcher is sent nothing, and what it missed when it is shown again;
- a tick goes out to one watcher after the other: in between the event loop serves others;
- `tell` and `sample` may be called from any thread and never block.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Any

from gpu_workbench import protocol as wire

from ..ports import News, Principal
from .live_ticks import Ready, Ticks, View
from .live_watcher import Watcher
from .views import Key, Message, left, over

log = logging.getLogger(__name__)

SETTLE_SECONDS = 0.05
"""News of one burst are looked at together."""

Looker = Callable[[Principal, list[News] | None], Awaitable[list[Message]]]
"""How the objects are now, for that person: those of the news, or all of them for None."""


class Hub:
    """All watchers of one server. Implements `ports.EventSink`.

    `watch` and `unwatch` tell the sampler that somebody looks, once for each visible window.
    `windows` is how many a person may have open.
    """

    def __init__(
        self,
        look: Looker,
        watch: Callable[[], object] = lambda: None,
        unwatch: Callable[[], object] = lambda: None,
        settle: float = SETTLE_SECONDS,
        windows: int = 64,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._look = look
        self._watch = watch
        self._unwatch = unwatch
        self._settle = settle
        self._windows = windows
        self._watchers: dict[Watcher, None] = {}
        self._joining: dict[Principal, list[Watcher]] = {}
        self._looking = asyncio.Lock()  # looks come one after the other, so the last is the newest
        self._sent: dict[Principal, dict[Key, bytes]] = {}
        self._lock = threading.Lock()  # guards the two below, which other threads write
        self._pending: dict[Key, News] = {}
        self._ready: list[Ready] | None = None
        self._ticks = Ticks()
        self._shown: Counter[View] = Counter()
        """How many windows show each view."""
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

    def sample(self, sample: wire.Sample) -> None:
        """A new sample: encode what is looked at, here in the sampler's thread."""
        ready = self._ticks.encode(sample)
        with self._lock:
            first, self._ready = self._ready is None, ready
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
        """Add a watcher and give it everything. Raises what the services raise.

        Windows of one person that come together (a server was restarted) share one look.
        """
        together = self._joining.setdefault(watcher.who, [])
        together.append(watcher)
        try:
            async with self._looking:
                if watcher in self._watchers:
                    return
                messages = await self._look(watcher.who, None)
                self._deliver(watcher.who, (), messages)  # its other windows may learn something
                known = self._sent[watcher.who]
                shared = [Message(key, known.get(key, data)) for key, data in messages]
                for one in list(together):
                    self._add(one, shared)
        finally:
            together.remove(watcher)
            if not together:
                self._joining.pop(watcher.who, None)

    def _add(self, watcher: Watcher, messages: Iterable[Message]) -> None:
        if watcher in self._watchers:
            return
        self._watchers[watcher] = None
        for message in messages:
            watcher.event(message)
        self._shown.update(watcher.shown)
        self._ticks.views = frozenset(self._shown)
        if not watcher.hidden:
            self._watch()

    def full(self, who: Principal) -> bool:
        """This person has as many windows open, or about to open, as one may."""
        coming = (one for together in self._joining.values() for one in together)
        windows = {one for one in (*self._watchers, *coming) if one.who.user == who.user}
        return len(windows) >= self._windows

    def leave(self, watcher: Watcher) -> None:
        """Idempotent."""
        if watcher not in self._watchers:
            return
        del self._watchers[watcher]
        watcher.end()
        self._unshow(watcher)
        if not watcher.hidden:
            self._unwatch()
        if all(other.who != watcher.who for other in self._watchers):
            self._sent.pop(watcher.who, None)

    def look(self, watcher: Watcher, looking: wire.Looking) -> None:
        """A window shows something else; a hidden one needs no fast rhythm of the sampler."""
        if watcher not in self._watchers:
            watcher.show(looking)
            return
        hidden = watcher.hidden
        self._unshow(watcher)
        watcher.show(looking)
        self._shown.update(watcher.shown)
        self._ticks.views = frozenset(self._shown)
        if hidden != looking.hidden:
            (self._unwatch if looking.hidden else self._watch)()

    async def close(self) -> None:
        """No news any more; every watcher ends."""
        self._closed = True
        if self._flush is not None:
            self._flush.cancel()
            await asyncio.gather(self._flush, return_exceptions=True)
        for watcher in list(self._watchers):
            self.leave(watcher)
        for _ in range(3):
            await asyncio.sleep(0)  # for those that wait to see it

    def _unshow(self, watcher: Watcher) -> None:
        for view in watcher.shown:
            self._shown[view] -= 1
            if not self._shown[view]:
                del self._shown[view]
        self._ticks.views = frozenset(self._shown)

    def _spread(self) -> None:
        with self._lock:
            ready, self._ready = self._ready, None
        if ready:
            self._hand_out(ready, iter(list(self._watchers)))

    def _hand_out(self, ready: list[Ready], watchers: Iterator[Watcher]) -> None:
        """One watcher's ticks, some 13 µs, then the event loop does something else. Several at once
        cost others' requests more, sending from the sampler's thread most, and pauses twice the
        CPU (docs/developer/telemetry.md)."""
        for watcher in watchers:
            for one in ready:
                watcher.tick(one)
            self._loop.call_soon(self._hand_out, ready, watchers)
            return

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
            elif over(key, data):  # there is no end of those, in a window that stays open
                if sent.pop(key, None) is None and not states:
                    continue  # seen by one that joins; the others were told when it ended
            else:
                sent[key] = data
            for watcher in self._watchers:
                if watcher.who == who:
                    watcher.event(Message(key, data))
