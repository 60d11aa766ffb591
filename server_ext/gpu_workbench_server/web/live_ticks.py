"""Ticks of the sampler as WebSocket messages, one encoding for all who look at the same."""

from __future__ import annotations

from typing import NamedTuple

from gpu_workbench import protocol as wire
from gpu_workbench.protocol.ticks import Encoded, Encoder

from .views import Message, event

View = str | None
"""What a window shows: the fleet, or one GPU (its UUID)."""


class Ready(NamedTuple):
    """One tick of one view."""

    view: View
    layouts: tuple[Message, ...]
    """What must be known to read it."""
    frame: bytes
    """A whole WebSocket message: only to be written to the connection."""


class Ticks:
    """`encode` runs in the sampler's thread, `views` is set from the event loop."""

    def __init__(self) -> None:
        self.views: frozenset[View] = frozenset()
        """What somebody looks at."""
        self._encoder = Encoder()
        self._told: dict[View, tuple[list[int], tuple[Message, ...]]] = {}
        """The layouts of each view that was encoded: their ids, and how they are told."""

    def encode(self, sample: wire.Sample) -> list[Ready]:
        """The sample for every view that is looked at."""
        views = self.views
        for gone in self._told.keys() - views:
            self._encoder.forget(gone)
            del self._told[gone]
        found = []
        for view in views:
            encoded = self._encoder.encode(sample, view)
            found.append(Ready(view, self._layouts(view, encoded), framed(encoded.frame)))
        return found

    def _layouts(self, view: View, encoded: Encoded) -> tuple[Message, ...]:
        """The same objects for as long as a layout stays: by that a watcher knows what it has."""
        ids = [layout.id for layout in encoded.layouts]
        before, messages = self._told.get(view, ([], ()))
        if ids != before:
            had = dict(zip(before, messages, strict=True))
            messages = tuple(had.get(one.id) or _message(one) for one in encoded.layouts)
            self._told[view] = ids, messages
        return messages


def _message(layout: wire.Layout) -> Message:
    data = event("layout", "", layout).data
    return Message(("layout", f"{layout.gpu or ''}/{layout.table}"), data)


TEXT, BINARY = 1, 2


def header(opcode: int, size: int) -> bytes:
    """Before a message as a server sends it: one frame, not masked (RFC 6455, 5.2)."""
    first = bytes((0x80 | opcode,))
    if size < 126:
        return first + bytes((size,))
    if size < 1 << 16:
        return first + b"\x7e" + size.to_bytes(2, "big")
    return first + b"\x7f" + size.to_bytes(8, "big")


def framed(payload: bytes) -> bytes:
    """A whole binary message, made once here instead of once per connection."""
    return header(BINARY, len(payload)) + payload
