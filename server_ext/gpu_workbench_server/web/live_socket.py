"""The WebSocket `live`: who may open it, and the way of bytes to and from a `Watcher`."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from typing import Any, cast

import msgspec
from jupyter_server.auth.decorator import ws_authenticated
from jupyter_server.base.websocket import WebSocketMixin
from tornado import web
from tornado.iostream import IOStream, StreamClosedError
from tornado.websocket import WebSocketClosedError, WebSocketHandler

from gpu_workbench import protocol as wire

from ..errors import WorkbenchError
from .auth import AuthenticatedHandler, permitted
from .live import Hub
from .live_ticks import TEXT, header
from .live_watcher import Watcher
from .routes import LIVE_RESOURCE

HUB_SETTING = "gpu_workbench_hub"
GOING_AWAY, TOO_MUCH, TRY_AGAIN, TOO_MANY = 1001, 1008, 1013, 4029
"""WebSocket close codes; the last one is ours: as many windows as one may have are open."""

LONGEST_MESSAGE = 4096
BURST, A_SECOND = 20, 5
"""Messages of a client that are taken at once, and in the long run."""
SEND_BUFFER = 1 << 16
"""Bytes that the system may hold for one reader: ticks that wait there are stale when they come."""


class LiveSocket(WebSocketMixin, WebSocketHandler, AuthenticatedHandler):
    """One open window."""

    watcher: Watcher | None = None
    _pump: asyncio.Task[None] | None = None
    _allowed, _heard = float(BURST), 0.0

    ping_interval = 20.0
    """Seconds; tornado closes the socket of a peer that does not answer until the next ping."""
    ping_timeout = 20.0

    @property
    def max_message_size(self) -> int:
        return LONGEST_MESSAGE

    @property
    def hub(self) -> Hub:
        hub: Hub = self.settings[HUB_SETTING]
        return hub

    async def prepare(self) -> None:  # type: ignore[override]
        # Past the mixin's own `prepare`, which passes an argument for redirects on.
        await AuthenticatedHandler.prepare(self)

    @ws_authenticated
    @permitted("read", LIVE_RESOURCE)
    async def get(self, *args: Any, **kwargs: Any) -> None:
        try:
            await self.workbench.services()
        except WorkbenchError as trouble:
            raise web.HTTPError(503, trouble.message) from None
        await super().get(*args, **kwargs)

    async def open(self, *args: str, **kwargs: str) -> None:  # type: ignore[override]
        # Not the mixin's `open`: its pings count in milliseconds where tornado's count in seconds.
        if self.hub.full(self.who):
            self.close(TOO_MANY, "Too many windows of GPU Workbench are open: close some.")
            return
        self._narrow()
        watcher = self.watcher = Watcher(self.who, self)
        try:
            await self.hub.join(watcher)
        except WorkbenchError as trouble:
            self.close(TRY_AGAIN, trouble.message[:100])
            return
        if self.ws_connection is None:  # closed while we looked
            self.hub.leave(watcher)
            return
        self._pump = asyncio.create_task(self._run(watcher))

    # --- as `live_watcher.Outlet` -----------------------------------------------------------------

    async def send(self, data: bytes) -> None:
        stream = self._stream()
        if stream is None:
            raise WebSocketClosedError
        # Apart, so that the windows of a person share the bytes, however slowly they read.
        stream.write(header(TEXT, len(data)))
        await stream.write(data)

    def offer(self, frame: bytes) -> bool:
        # Past tornado's own framing, which is the same for every connection and so done once.
        stream = self._stream()
        if stream is None or stream.writing():
            return False
        try:  # past its queue, too, which is empty: a fifth of the cost of a tick
            sent = stream.write_to_fd(memoryview(frame))
        except OSError:  # full, or broken: the stream finds out
            sent = 0
        if sent < len(frame):
            stream.write(frame[sent:])
        return True

    async def drain(self) -> None:
        stream = self._stream()
        if stream is None:
            raise WebSocketClosedError
        if stream.writing():
            await stream.write(b"")

    def _stream(self) -> IOStream | None:
        """The connection's, while it is open."""
        stream = cast(IOStream | None, self.ws_connection and self.ws_connection.stream)
        return None if stream is None or stream.closed() else stream

    def _narrow(self) -> None:
        stream = self._stream()
        if stream is not None and stream.socket is not None:
            with contextlib.suppress(OSError):
                stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)

    async def _run(self, watcher: Watcher) -> None:
        try:
            await watcher.pump()
        except (WebSocketClosedError, StreamClosedError):
            self.hub.leave(watcher)
        else:
            why = "Hidden for so long: begin anew." if watcher.behind else "The server is stopping."
            self.close(GOING_AWAY, why)

    def on_message(self, message: str | bytes) -> None:
        now = time.monotonic()
        self._allowed = min(BURST, self._allowed + (now - self._heard) * A_SECOND) - 1
        self._heard = now
        if self._allowed < 0:
            self.close(TOO_MUCH, "Too many messages.")
            return
        try:
            looking = msgspec.json.decode(message, type=wire.Looking)
        except msgspec.DecodeError:
            return  # a newer client may say more: it is not an error
        if self.watcher is not None:
            self.hub.look(self.watcher, looking)

    def on_close(self) -> None:
        if self.watcher is not None:
            self.hub.leave(self.watcher)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """No page: a client sees the status and asks the REST API why."""
        self.finish(f"HTTP {status_code}\n")
