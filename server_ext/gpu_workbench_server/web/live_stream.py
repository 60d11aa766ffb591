"""A WebSocket's stream that two threads write to: tornado on the event loop, ticks from anywhere.

All that tornado sends passes `write_to_fd`, all that it closes `close_fd`; both are done here with
a lock. A frame from another thread goes out where tornado has nothing begun; what the system did
not take of it goes out before anything else. Knows no watcher and no tick.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator

from tornado.iostream import IOStream

SEND_BUFFER = 1 << 16
"""Bytes that the system may hold for one reader: ticks that wait there are stale when they come."""


class LiveStream:
    """Made on the event loop. Encrypted streams are written to from there only: OpenSSL's state of
    a connection is for one thread."""

    def __init__(self, stream: IOStream) -> None:
        self._loop = asyncio.get_running_loop()
        self._stream = stream
        self._lock = threading.RLock()
        self._rest = memoryview(b"")
        """The end of a frame that the system did not take."""
        self.from_anywhere = type(stream) is IOStream
        self._write_to_fd, self._close_fd = stream.write_to_fd, stream.close_fd
        self._send = stream.socket.send if self.from_anywhere else self._encrypt
        stream.write_to_fd = self._write  # type: ignore[method-assign]
        stream.close_fd = self._close  # type: ignore[method-assign]
        with contextlib.suppress(OSError):
            stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)

    @contextlib.contextmanager
    def whole(self) -> Iterator[IOStream]:
        """The stream, for a message in several writes: nothing comes in between."""
        with self._lock:
            yield self._stream

    def offer(self, frame: bytes) -> bool:
        """Send a whole frame if it need not wait for anything; False where it would."""
        if not self._lock.acquire(blocking=False):
            return False
        try:
            stream = self._stream
            if stream.closed() or stream.writing() or self._rest:
                return False
            try:
                sent = self._send(frame)
            except OSError:  # full, or broken: the stream finds out
                return False
            if sent < len(frame):
                self._rest = memoryview(frame)[sent:]
                self._loop.call_soon_threadsafe(self._finish)
            return True
        finally:
            self._lock.release()

    def _encrypt(self, frame: bytes) -> int:
        return self._write_to_fd(memoryview(frame))

    def _finish(self) -> None:
        with self._lock:
            rest, stream = self._rest, self._stream
            # Where tornado has more to send it takes the rest along.
            if rest and not stream.writing() and not stream.closed():
                self._rest = memoryview(b"")
                stream.write(rest)

    def _write(self, data: memoryview) -> int:
        with self._lock:
            while self._rest:
                sent = self._write_to_fd(self._rest)
                if not sent:
                    return 0
                self._rest = self._rest[sent:]
            return self._write_to_fd(data)

    def _close(self) -> None:
        with self._lock:
            self._close_fd()
