"""A real cluster's Dask pages through the server: a page, its WebSocket, and who may see them."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import pytest
from tornado.httpclient import HTTPClientError, HTTPRequest, HTTPResponse
from tornado.websocket import websocket_connect

from tests.server.conftest import Workbench


class Pages:
    """One cluster's pages as a browser asks for them."""

    def __init__(self, server: Any, fetch: Any, cluster_id: str) -> None:
        self._server = server
        self._fetch = fetch
        self.base = ("gpu-workbench", "clusters", cluster_id, "dashboard")

    async def get(self, *path: str, **how: Any) -> HTTPResponse:
        answer: HTTPResponse = await self._fetch(
            *self.base, *path, raise_error=False, follow_redirects=False, **how
        )
        return answer

    def socket(self, path: str, token: str) -> HTTPRequest:
        where = "/".join([self._server.base_url.strip("/"), *self.base, path]).strip("/")
        url = f"ws://127.0.0.1:{self._server.port}/{where}"
        return HTTPRequest(url, headers={"Authorization": f"token {token}"})


@pytest.fixture
def pages(workbench: Workbench, jp_serverapp: Any, jp_fetch: Any, jp_asyncio_loop: Any) -> Any:
    async def running() -> Pages:
        _, made = await workbench.call(
            "POST", "clusters", {"workers": 1, "per_worker": "1g.10gb", "name": "flights"}
        )

        async def there() -> Any:
            _, now = await workbench.call("GET", f"clusters/{made['id']}")
            assert now["state"] in ("waiting", "starting", "running"), now
            return now["dashboard_path"]

        path = await workbench.eventually(there, "its dashboard", 60)
        assert path == f"/gpu-workbench/clusters/{made['id']}/dashboard/status"
        return Pages(jp_serverapp, jp_fetch, made["id"])

    async def stop(cluster_id: str) -> None:
        await workbench.call("DELETE", f"clusters/{cluster_id}")

        async def over() -> bool:
            _, now = await workbench.call("GET", f"clusters/{cluster_id}")
            return now["state"] in ("ended", "failed")

        await workbench.eventually(over, "it is over")

    found = jp_asyncio_loop.run_until_complete(running())
    yield found
    jp_asyncio_loop.run_until_complete(stop(found.base[2]))


async def test_a_page_its_files_and_its_socket_come_through_for_who_is_logged_in(
    pages: Pages, jp_serverapp: Any
) -> None:
    first = await pages.get("status")
    assert first.code == 302, "made when first looked at; then the same is asked for again"
    assert first.headers["Location"].endswith(f"{pages.base[2]}/dashboard/status")
    page = await pages.get("status")
    assert page.code == 200 and b"bokeh" in page.body.lower()
    assert page.headers["Content-Type"].startswith("text/html")
    script = await pages.get("static", "js", "bokeh.min.js")
    assert script.code == 200 and len(script.body) > 100_000
    assert "javascript" in script.headers["Content-Type"]
    plots = await pages.get("individual-plots.json")
    assert "Individual Task Stream" in json.loads(plots.body), "what dask-labextension asks for"
    assert (await pages.get("no-such-page")).code == 404

    found = re.search(rb'"token":"([^"]+)"', page.body)
    assert found is not None
    token = jp_serverapp.identity_provider.token
    socket = await websocket_connect(
        pages.socket("status/ws", token), subprotocols=["bokeh", found[1].decode()]
    )
    assert socket.selected_subprotocol == "bokeh"
    header = await asyncio.wait_for(socket.read_message(), 60)
    assert header is not None and json.loads(header)["msgtype"] == "ACK"
    socket.close()


async def test_nobody_else_sees_them(pages: Pages) -> None:
    stranger = {"Authorization": "token wrong"}
    assert (await pages.get("status", headers=stranger)).code in (401, 403)
    with pytest.raises(HTTPClientError) as error:
        await websocket_connect(pages.socket("status/ws", "wrong"))
    assert error.value.code in (401, 403)


async def test_one_that_is_not_there_is_not_found(pages: Pages, jp_fetch: Any) -> None:
    answer = await jp_fetch(
        *("gpu-workbench", "clusters", "cluster-none", "dashboard", "status"), raise_error=False
    )
    assert answer.code == 404 and b"<html" not in answer.body
