"""A cluster's own Dask pages, reached through this server: its login, its owner's cluster, or 404.

They listen on a Unix socket that only their user may open; here bytes go to and fro, over HTTP
and over Bokeh's WebSocket. Knows nothing of what is on them.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any
from urllib.parse import quote

from jupyter_server.auth.decorator import ws_authenticated
from jupyter_server.base.websocket import WebSocketMixin
from tornado import web
from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.netutil import Resolver
from tornado.simple_httpclient import SimpleAsyncHTTPClient
from tornado.websocket import WebSocketClientConnection, WebSocketClosedError, WebSocketHandler
from tornado.websocket import websocket_connect as connect

from gpu_workbench import protocol as wire

from ..errors import WorkbenchError
from .auth import AuthenticatedHandler, permitted
from .routes import NAME

RESOURCE = "gpu-workbench:clusters"
_PATH = rf"{wire.CLUSTERS_PATH}/{NAME}/dashboard"
_LARGEST = 100 << 20
_SECONDS = 20.0
_PASSED_ON = ("Content-Type", "Cache-Control", "Etag", "Last-Modified")


class OneSocket(Resolver):
    """Every name leads to the same Unix socket."""

    def initialize(self, path: str) -> None:  # type: ignore[override]
        self._path = path

    async def resolve(self, host: str, port: int, family: Any = 0) -> list[tuple[int, Any]]:
        return [(socket.AF_UNIX, self._path)]


class Dashboard(AuthenticatedHandler):
    """Pages that something of a user serves on a Unix socket, passed on."""

    what = "The cluster's dashboard"
    root, leaf = wire.CLUSTERS_PATH, "dashboard"

    async def socket_path(self, item: str) -> str | None:
        """Raises `WorkbenchError` for what is not there or somebody else's."""
        services = await self.workbench.services()
        return await self.workbench.on_holders(services.clusters.dashboard, self.who, item)

    async def socket_of(self, item: str) -> str:
        """Raises 404 for what is not there or somebody else's, 503 where none listens."""
        try:
            path = await self.socket_path(item)
        except WorkbenchError as error:
            raise web.HTTPError(error.status, error.message) from None
        if path is None:
            raise web.HTTPError(503, f"{self.what} does not run now.")
        return path

    def address(self, scheme: str, path: str) -> str:
        query = f"?{self.request.query}" if self.request.query else ""
        return f"{scheme}://dashboard/{quote(path, safe='/~')}{query}"

    async def pass_on(self, item: str, path: str) -> None:
        """This request to there, and the answer back."""
        resolver = OneSocket(path=await self.socket_of(item))
        client = SimpleAsyncHTTPClient(
            force_instance=True, resolver=resolver, max_buffer_size=_LARGEST
        )
        given = self.request.headers.get("Content-Type")
        request = HTTPRequest(
            self.address("http", path),
            method=self.request.method or "GET",
            body=self.request.body or None,
            headers={"Content-Type": given} if given else None,
            allow_nonstandard_methods=True,
            request_timeout=_SECONDS,
            follow_redirects=False,
        )
        try:
            answer = await client.fetch(request, raise_error=False)
        except (OSError, HTTPClientError):
            raise web.HTTPError(503, f"{self.what} does not answer.") from None
        finally:
            client.close()
        if answer.code == 599:
            raise web.HTTPError(503, f"{self.what} does not answer.")
        self.set_status(answer.code)
        for name in _PASSED_ON:
            if name in answer.headers:
                self.set_header(name, answer.headers[name])
        if "Location" in answer.headers:  # its own paths are below ours
            target = answer.headers["Location"]
            below = f"{self.base_url.rstrip('/')}{self.root}/{item}/{self.leaf}"
            self.set_header("Location", f"{below}{target}" if target.startswith("/") else target)
        self.set_header("X-Content-Type-Options", "nosniff")
        self.finish(answer.body or b"")

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """A sentence, no page of the lab: this is shown in a small pane."""
        error = (kwargs.get("exc_info") or (None, None, None))[1]
        said = error.log_message if isinstance(error, web.HTTPError) else None
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(said or f"HTTP {status_code}")


class DashboardPage(Dashboard):
    @permitted("read", RESOURCE)
    async def get(self, cluster_id: str, path: str = "") -> None:
        await self.pass_on(cluster_id, path)


class DashboardSocket(WebSocketMixin, WebSocketHandler, Dashboard):
    """Between a page in the browser and Bokeh."""

    far: WebSocketClientConnection | None = None
    _pump: asyncio.Task[None] | None = None

    async def prepare(self) -> None:  # type: ignore[override]
        # Past the mixin's own `prepare`, which passes an argument for redirects on.
        await AuthenticatedHandler.prepare(self)

    @ws_authenticated
    @permitted("read", RESOURCE)
    async def get(self, cluster_id: str, path: str, *args: Any, **kwargs: Any) -> None:
        self._where = (await self.socket_of(cluster_id), f"{path}/ws")
        await super().get(cluster_id, path, *args, **kwargs)

    def select_subprotocol(self, subprotocols: list[str]) -> str | None:
        """Bokeh's is named first; what follows is its session, which goes on to Bokeh alone."""
        self._protocols = subprotocols
        return subprotocols[0] if subprotocols else None

    async def open(self, *args: str, **kwargs: str) -> None:  # type: ignore[override]
        where, path = self._where
        try:
            self.far = await connect(
                self.address("ws", path),
                subprotocols=getattr(self, "_protocols", None) or None,
                resolver=OneSocket(path=where),
                max_message_size=_LARGEST,
            )
        except (OSError, HTTPClientError):
            self.close(1013, f"{self.what} does not answer.")
            return
        self._pump = asyncio.create_task(self._from_bokeh(self.far))

    async def _from_bokeh(self, far: WebSocketClientConnection) -> None:
        while True:
            message = await far.read_message()
            if message is None:
                self.close()
                return
            try:
                await self.write_message(message, binary=isinstance(message, bytes))
            except WebSocketClosedError:
                return

    async def on_message(self, message: str | bytes) -> None:  # type: ignore[override]
        if self.far is not None:
            try:
                await self.far.write_message(message, binary=isinstance(message, bytes))
            except WebSocketClosedError:
                self.close()

    def on_close(self) -> None:
        if self.far is not None:
            self.far.close()


def dashboard_handlers() -> list[tuple[str, type[Dashboard]]]:
    return [(rf"{_PATH}/(.*)/ws", DashboardSocket), (rf"{_PATH}/?(.*)", DashboardPage)]
