"""A real Jupyter server in this process, with the extension on simulated GPUs.

`workbench` is a small client of it; for cookies, XSRF and kills see `tests.support.lab`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tornado.httpclient import HTTPResponse
from tornado.websocket import WebSocketClientConnection
from traitlets.config import Config

from gpu_workbench import protocol as wire
from gpu_workbench.protocol import BASE_PATH
from gpu_workbench.protocol.ticks import Tick, decode
from gpu_workbench_server.app import GpuWorkbenchApp

pytest_plugins = ["pytest_jupyter.jupyter_server"]


@dataclass
class Workbench:
    """Calls of the extension's routes, with the server's own token where none is given."""

    app: GpuWorkbenchApp
    fetch: Callable[..., Awaitable[HTTPResponse]]
    connect: Callable[..., Awaitable[WebSocketClientConnection]]

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: dict[str, str] | None = None,
        **params: Any,
    ) -> tuple[int, Any]:
        """Status and decoded body of one call; never raises for a status."""
        answer = await self.raw(method, path, body, headers, **params)
        return answer.code, json.loads(answer.body)

    async def raw(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: dict[str, str] | None = None,
        **params: Any,
    ) -> HTTPResponse:
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await self.fetch(
            BASE_PATH.strip("/"),
            *path.split("/"),
            method=method,
            body=None if body is None else text,
            headers=dict(headers or {}),
            params=params,
            raise_error=False,
            follow_redirects=False,
            allow_nonstandard_methods=True,
        )

    async def live(self, headers: dict[str, str] | None = None) -> WebSocketClientConnection:
        return await self.connect(BASE_PATH.strip("/"), "live", headers=dict(headers or {}))

    async def eventually(
        self, condition: Callable[[], Awaitable[Any]], what: str, seconds: float = 60.0
    ) -> Any:
        """Await `condition` until it answers something true."""
        deadline = time.monotonic() + seconds
        while True:
            answer = await condition()
            if answer:
                return answer
            assert time.monotonic() < deadline, f"not after {seconds:g} s: {what}; {answer!r}"
            await asyncio.sleep(0.02)

    async def events(
        self, socket: WebSocketClientConnection, until: str, seconds: float = 60.0
    ) -> list[dict[str, Any]]:
        """Events up to and with the first of that type; ticks are passed over."""
        found: list[dict[str, Any]] = []
        deadline = time.monotonic() + seconds
        while True:
            told = await asyncio.wait_for(socket.read_message(), deadline - time.monotonic())
            assert told is not None, f"closed before {until}: {socket.close_code}"
            if isinstance(told, bytes):
                continue
            found.append(json.loads(told))
            if found[-1]["type"] == until:
                return found

    async def ticks(
        self,
        socket: WebSocketClientConnection,
        until: Callable[[Tick], bool] = lambda tick: True,
        seconds: float = 60.0,
    ) -> list[Tick]:
        """Ticks up to and with the first as wanted, read with the layouts that were told before."""
        found: list[Tick] = []
        layouts: dict[int, wire.Layout] = {}
        deadline = time.monotonic() + seconds
        while not found or not until(found[-1]):
            told = await asyncio.wait_for(socket.read_message(), deadline - time.monotonic())
            assert told is not None, f"closed before a tick: {socket.close_code}"
            if isinstance(told, bytes):
                tick = decode(told, layouts)
                assert tick is not None, "its layouts come before a tick"
                found.append(tick)
            elif (event := json.loads(told))["type"] == "layout":
                layout = msgspec.convert(event["data"], wire.Layout)
                layouts[layout.id] = layout
        return found


@pytest.fixture(autouse=True)
def our_log() -> Iterator[None]:
    """As it was before the extension sent it to the server's log, which pytest can't see."""
    log = logging.getLogger("gpu_workbench_server")
    was = log.handlers[:], log.propagate, log.level
    yield
    log.handlers[:], log.propagate, log.level = was


@pytest.fixture
def changed() -> dict[str, Any]:
    """Traits that a test wants otherwise; a test parametrizes this name."""
    return {}


@pytest.fixture
def settings(tmp_path: Path, changed: dict[str, Any]) -> dict[str, Any]:
    """Traits of the extension."""
    return {
        "data_dir": str(tmp_path / "workbench"),
        "devices": "simulated",
        "lease_ttl": 60,
        "tick_seconds": 0.1,
        "grace_seconds": 1.0,
        "restart_seconds": 1.0,
    } | changed


@pytest.fixture
def jp_server_config(settings: dict[str, Any]) -> Config:
    return Config(
        {
            "ServerApp": {"jpserver_extensions": {"gpu_workbench_server": True}},
            "GpuWorkbenchApp": settings,
        }
    )


@pytest.fixture
def workbench(
    jp_serverapp: Any, jp_fetch: Any, jp_ws_fetch: Any, jp_asyncio_loop: asyncio.AbstractEventLoop
) -> Workbench:
    """The running extension. pytest-jupyter does not start extensions, so that is done here."""
    jp_asyncio_loop.run_until_complete(jp_serverapp.extension_manager.start_all_extensions())
    app = jp_serverapp.extension_manager.extension_points["gpu_workbench_server"].app
    return Workbench(app, jp_fetch, jp_ws_fetch)
