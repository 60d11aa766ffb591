"""What a notebook holds of a job or a sweep: its id, and how it was when the server was last asked.

Throw a handle away and what it is of goes on. How it looks is its subclass's to say.
"""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Callable
from typing import ClassVar, Generic, Self, TypeVar

from . import protocol as wire
from .client import Client
from .display import Live, Rich, cell
from .errors import GpuWorkbenchError

_WATCH_SECONDS = 1.0
_POLL_SECONDS = 0.5

T = TypeVar("T", wire.Job, wire.Sweep)


class Handle(Rich, Generic[T]):
    """Of something that the server goes on with by itself until it is over."""

    _KIND: ClassVar[str]
    """Its path: `jobs`."""

    def __init__(self, last: T, client: Client) -> None:
        self._last: T = last
        self._client = client
        self._watched_in: int | None = None
        """The cell that shows it already."""

    @property
    def id(self) -> str:
        return self._last.id

    @property
    def status(self) -> T:
        """How it is now."""
        if self._last.ended_at is None:
            path = f"{self._KIND}/{self.id}"
            self._last = self._client.call("GET", path, returns=type(self._last))
        return self._last

    def watch(self) -> Self:
        """Show it live until it is over. Interrupting leaves it running."""
        live = Live()
        self._watched_in = cell()
        try:
            while True:
                now = self.status
                live.show(*self._live(now))
                if now.ended_at is not None:
                    return self
                time.sleep(_WATCH_SECONDS)
        except KeyboardInterrupt:
            print(f"{self.id} goes on; .watch() shows it again, .stop() ends it.")
            return self

    @property
    def _ipython_display_(self) -> Callable[[], None] | None:
        """None: it is shown as any value. Where the cell that ends with it has watched it, it
        stands there already, and IPython calls this instead."""
        return _nothing if self._watched_in is not None and self._watched_in == cell() else None

    def wait(self, timeout: float | None = None) -> T:
        """Until it is over, however it ends; raises `TimeoutError` after `timeout` seconds."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while (now := self.status).ended_at is None:
            if deadline is not None and time.monotonic() > deadline:
                raise TimeoutError(f"{self.id} is not over after {timeout:g} s: {self._text()}")
            time.sleep(_POLL_SECONDS)
        return now

    def stop(self) -> Self:
        """Ask what goes on of it to end; returns at once."""
        path = f"{self._KIND}/{self.id}/stop"
        self._last = self._client.call("POST", path, returns=type(self._last))
        return self

    @abstractmethod
    def _live(self, now: T) -> tuple[str, str]:
        """As text and as HTML, while somebody watches."""

    def _fresh(self) -> T:
        """Now, or as it was last where the server can't be asked: showing it never raises."""
        try:
            return self.status
        except GpuWorkbenchError:
            return self._last


def _nothing() -> None:
    """All that is to be shown is shown."""
