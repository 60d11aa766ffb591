"""Who may call: nobody without a token, a browser only with XSRF, kernels with their own token."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from jupyter_server.auth import Authorizer
from tornado.httpclient import HTTPClientError
from traitlets.config import Config

from gpu_workbench.protocol import BASE_PATH
from gpu_workbench_server.web.routes import LIVE_RESOURCE, OPENAPI_RESOURCE, ROUTES
from tests.support.lab import LabServer

API = BASE_PATH.strip("/")
EVERY_PATH = [(route.method, route.path.replace("{id}", "1").strip("/")) for route in ROUTES]

asked: list[tuple[str, str]] = []
denied: set[str] = set()


class Strict(Authorizer):
    """Writes down what it is asked, and says no to what a test has put into `denied`."""

    def is_authorized(self, handler: Any, user: Any, action: str, resource: str) -> bool:
        asked.append((action, resource))
        return resource not in denied


@pytest.fixture
def strict(jp_server_config: Config) -> Iterator[None]:
    jp_server_config.ServerApp.authorizer_class = Strict
    asked.clear()
    denied.clear()
    yield
    denied.clear()


async def test_without_a_token_every_route_answers_401_in_json_and_never_redirects(
    workbench: Any,
) -> None:
    for headers in ({"Authorization": ""}, {"Authorization": "token wrong"}):
        for method, path in [*EVERY_PATH, ("GET", "openapi.json"), ("GET", "no/such/route")]:
            code, problem = await workbench.call(method, path, headers=headers)
            assert (code, problem["code"]) == (401, "unauthenticated"), (method, path)
            assert problem["hint"]


async def test_a_server_that_forbids_unauthenticated_access_by_default_works_the_same(
    closed: Any,
) -> None:
    ours = {"Authorization": f"token {closed.app.workbench.kernel_token}"}
    assert (await closed.call("GET", "status"))[0] == 200
    assert (await closed.call("GET", "status", headers=ours))[0] == 200
    code, problem = await closed.call("GET", "status", headers={"Authorization": ""})
    assert (code, problem["code"]) == (401, "unauthenticated")


@pytest.fixture
def closed(jp_server_config: Config, request: pytest.FixtureRequest) -> Any:
    jp_server_config.ServerApp.allow_unauthenticated_access = False
    return request.getfixturevalue("workbench")


async def test_the_kernels_token_opens_our_routes_and_no_others(
    workbench: Any, jp_fetch: Any
) -> None:
    ours = {"Authorization": f"token {workbench.app.workbench.kernel_token}"}
    assert (await workbench.call("GET", "status", headers=ours))[0] == 200
    assert (await workbench.call("POST", "requests", {"what": "10GB"}, headers=ours))[0] == 201
    with pytest.raises(HTTPClientError) as refused:
        await jp_fetch("api", "contents", headers=dict(ours))
    assert refused.value.code == 403


async def test_every_method_asks_the_authorizer_for_its_own_action_and_resource(
    strict: None, workbench: Any
) -> None:
    for route in ROUTES:
        asked.clear()
        await workbench.raw(route.method, route.path.replace("{id}", "1").strip("/"))
        assert asked == [(route.action, route.resource)], route.path
    asked.clear()
    await workbench.call("GET", "openapi.json")
    assert asked == [("read", OPENAPI_RESOURCE)]


async def test_who_is_not_authorized_gets_a_403_in_json(strict: None, workbench: Any) -> None:
    denied.update({"gpu-workbench:leases", LIVE_RESOURCE})
    code, problem = await workbench.call("GET", "leases")
    assert (code, problem["code"]) == (403, "forbidden")
    assert (await workbench.call("GET", "fleet"))[0] == 200
    with pytest.raises(HTTPClientError) as refused:
        await workbench.live()
    assert refused.value.code == 403
    ours = {"Authorization": f"token {workbench.app.workbench.kernel_token}"}
    assert (await workbench.call("GET", "leases", headers=ours))[0] == 200, (
        "the kernels' token has a scope of its own"
    )


async def test_a_websocket_without_a_token_is_refused_before_it_opens(workbench: Any) -> None:
    for headers in ({"Authorization": ""}, {"Authorization": "token wrong"}):
        with pytest.raises(HTTPClientError) as refused:
            await workbench.live(headers)
        assert refused.value.code == 401


async def test_a_call_for_another_host_is_refused(workbench: Any) -> None:
    code, problem = await workbench.call("GET", "status", headers={"Host": "evil.example"})
    assert (code, problem["code"]) == (403, "forbidden")


# --- a browser: cookie and XSRF, on a server of its own -------------------------------------------


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabServer]:
    root: Path = tmp_path_factory.mktemp("lab")
    with LabServer(root, workbench={"devices": "simulated"}) as server:
        yield server


@pytest.fixture
def browser(lab: LabServer) -> Iterator[httpx.Client]:
    """Logged in by a link with the token, as when JupyterLab opens; then it has cookies only."""
    with httpx.Client(base_url=lab.url, trust_env=False) as client:
        client.get("login")
        client.get("login", params={"token": lab.token})
        assert "_xsrf" in client.cookies
        yield client


def xsrf(browser: httpx.Client) -> dict[str, str]:
    return {"X-XSRFToken": browser.cookies["_xsrf"]}


def test_a_browser_reads_with_its_cookie(browser: httpx.Client) -> None:
    assert browser.get(f"{API}/status").status_code == 200


def test_a_browser_writes_only_with_the_xsrf_token(browser: httpx.Client) -> None:
    refused = browser.post(f"{API}/requests", json={"what": "10GB"})
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    granted = browser.post(f"{API}/requests", json={"what": "10GB"}, headers=xsrf(browser))
    assert granted.status_code == 201
    path = f"{API}/leases/{granted.json()['id']}"
    assert browser.delete(path).status_code == 403
    assert browser.delete(path, headers=xsrf(browser)).status_code == 200


def test_a_page_of_another_site_gets_nothing(browser: httpx.Client) -> None:
    foreign = {"Origin": "https://evil.example"}
    assert browser.get(f"{API}/status", headers=foreign).status_code == 403
    written = browser.post(f"{API}/requests", json={"what": "1"}, headers=foreign | xsrf(browser))
    assert written.status_code in (403, 404)
    assert "code" in written.json()


def upgrade(client: httpx.Client, **headers: str) -> int:
    """Status of asking for the WebSocket; 101 where it opens."""
    asked = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    with client.stream("GET", f"{API}/live", headers=asked | headers) as answer:
        return answer.status_code


def test_the_websocket_opens_for_our_page_and_not_for_another(
    lab: LabServer, browser: httpx.Client
) -> None:
    assert upgrade(browser, Origin=lab.url.rstrip("/")) == 101
    assert upgrade(browser, Origin="https://evil.example") == 403
    with httpx.Client(base_url=lab.url, trust_env=False) as stranger:
        assert upgrade(stranger, Origin=lab.url.rstrip("/")) == 401
