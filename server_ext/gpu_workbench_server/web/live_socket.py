"""The WebSocket `live`: who may open it, and the way of bytes to and from a `Watcher`."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from jupyter_server.auth.decorator import ws_authenticated
from jupyter_server.base.websocket import WebSocketMixin
from tornado import web
from tornado.websocket import WebSocketClosedError, WebSocketHandler

from ..errors import WorkbenchError
from .auth import AuthenticatedHandler, permitted
from .live import Hub, Watcher
from .routes import LIVE_RESOURCE

HUB_SETTING = "gpu_workbench_hub"
GOING_AWAY, TRY_AGAIN = 1001, 1013
"""WebSocket close codes."""


class FromClient(msgspec.Struct, frozen=True):
    """The only message that a client sends: whether its window can be seen."""

    hidden: bool


class LiveSocket(WebSocketMixin, WebSocketHandler, AuthenticatedHandler):
    """One open window."""

    watcher: Watcher | None = None
    _pump: asyncio.Task[None] | None = None

    ping_interval = 20.0
    """Seconds; tornado closes the socket of a peer that does not answer until the next ping."""
    ping_timeout = 20.0

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
        watcher = self.watcher = Watcher(self.who, self.deliver)
        try:
            await self.hub.join(watcher)
        except WorkbenchError as trouble:
            self.close(TRY_AGAIN, trouble.message[:100])
            return
        if self.ws_connection is None:  # closed while we looked
            self.hub.leave(watcher)
            return
        self._pump = asyncio.create_task(self._run(watcher))

    async def deliver(self, data: bytes) -> None:
        """Write one text frame and wait until it has gone out: here a slow reader waits."""
        await self.write_message(data, binary=False)

    async def _run(self, watcher: Watcher) -> None:
        try:
            await watcher.pump()
        except WebSocketClosedError:
            self.hub.leave(watcher)
        else:
            self.close(GOING_AWAY, "The server is stopping.")

    def on_message(self, message: str | bytes) -> None:
        try:
            told = msgspec.json.decode(message, type=FromClient)
        except msgspec.DecodeError:
            return  # a newer client may say more: it is not an error
        if self.watcher is not None:
            self.hub.hide(self.watcher, told.hidden)

    def on_close(self) -> None:
        if self.watcher is not None:
            self.hub.leave(self.watcher)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """No page: a client sees the status and asks the REST API why."""
        self.finish(f"HTTP {status_code}\n")
