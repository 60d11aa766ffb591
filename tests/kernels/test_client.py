"""The client: finds its server, finds it again, and tells nobody else its token."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from gpu_workbench import protocol as wire
from gpu_workbench.client import Client
from gpu_workbench.errors import GpuWorkbenchError


class Peer:
    """A small real HTTP server that knows one route and one token."""

    def __init__(self, token: str = "secret") -> None:
        self.token = token
        self.seen: list[tuple[str, str | None]] = []
        self.answers: list[tuple[int, dict[str, str], Any]] = []
        peer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                sent = self.headers.get("Authorization")
                peer.seen.append((self.path, sent))
                status, headers, body = 200, {}, {"leases": []}
                if peer.answers:
                    status, headers, body = peer.answers.pop(0)
                elif sent != f"token {peer.token}":
                    status, body = 403, {"code": "forbidden", "message": "No.", "hint": ""}
                content = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_POST = do_GET

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/user/ada/"

    def file(self, folder: Path, name: str = "gpu-workbench-1.json", age: float = 0.0) -> Path:
        path = folder / name
        connection = {"url": self.url, "token": self.token, "pid": os.getpid()}
        path.write_text(json.dumps(connection))
        stamp = path.stat().st_mtime - age
        os.utime(path, (stamp, stamp))
        return path

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path))
    monkeypatch.delenv(wire.CONNECTION_ENV, raising=False)
    return tmp_path


@pytest.fixture
def peers() -> Iterator[list[Peer]]:
    started = [Peer(), Peer("another")]
    yield started
    for one in started:
        one.stop()


def test_no_server_is_said_with_what_to_do(runtime: Path) -> None:
    with pytest.raises(GpuWorkbenchError) as trouble:
        Client().leases()
    assert trouble.value.code == "no_server"
    assert "Start JupyterLab" in str(trouble.value)


def test_the_newest_live_server_is_taken(runtime: Path, peers: list[Peer]) -> None:
    old, new = peers
    old.file(runtime, "gpu-workbench-1.json", age=60)
    new.file(runtime, "gpu-workbench-2.json")
    dead = json.dumps({"url": "http://127.0.0.1:9/", "token": "x", "pid": 2**22 + 1})
    (runtime / "gpu-workbench-3.json").write_text(dead)
    (runtime / "gpu-workbench-4.json").write_text("{half")
    assert Client().leases() == []
    assert new.seen == [("/user/ada/gpu-workbench/api/v1/leases", "token another")]
    assert old.seen == []


def test_the_file_that_the_kernel_was_given_goes_first(
    runtime: Path, peers: list[Peer], monkeypatch: pytest.MonkeyPatch
) -> None:
    given, newest = peers
    monkeypatch.setenv(wire.CONNECTION_ENV, str(given.file(runtime, "mine.json", age=60)))
    newest.file(runtime)
    Client().leases()
    assert given.seen and not newest.seen


def test_after_a_restart_the_new_server_is_found(runtime: Path, peers: list[Peer]) -> None:
    old, new = peers
    file = old.file(runtime)
    client = Client()
    client.leases()
    old.server.shutdown()
    old.server.server_close()
    file.unlink()
    new.file(runtime, "gpu-workbench-2.json")
    assert client.leases() == []
    assert client.url == new.url


def test_a_token_that_is_not_good_any_more_is_read_again(runtime: Path, peers: list[Peer]) -> None:
    server, _ = peers
    server.file(runtime)
    client = Client()
    client.leases()
    server.token = "renewed"
    server.file(runtime)
    assert client.leases() == []


def test_the_token_follows_no_redirect(runtime: Path, peers: list[Peer]) -> None:
    server, elsewhere = peers
    server.file(runtime)
    server.answers.append((302, {"Location": elsewhere.url}, {}))
    with pytest.raises(GpuWorkbenchError):
        Client().leases()
    assert elsewhere.seen == []


def test_no_proxy_sees_the_token(
    runtime: Path, peers: list[Peer], monkeypatch: pytest.MonkeyPatch
) -> None:
    server, proxy = peers
    server.file(runtime)
    monkeypatch.setenv("http_proxy", proxy.url)
    Client().leases()
    assert proxy.seen == []


def test_a_refusal_carries_the_servers_words(runtime: Path, peers: list[Peer]) -> None:
    server, _ = peers
    server.file(runtime)
    problem = {"code": "over_limit", "message": "3 are more than 2.", "hint": "Ask for 2."}
    server.answers.append((409, {}, problem))
    with pytest.raises(GpuWorkbenchError) as refusal:
        Client().ask(wire.Ask(what="gpu", count=3))
    assert refusal.value.code == "over_limit"
    assert str(refusal.value) == "3 are more than 2. Ask for 2."
    assert refusal.value._render_traceback_()[1] == "Ask for 2."


def test_a_server_without_the_extension_is_recognised(runtime: Path, peers: list[Peer]) -> None:
    server, _ = peers
    server.file(runtime)
    server.answers.append((404, {}, b"<html>404</html>"))
    with pytest.raises(GpuWorkbenchError) as trouble:
        Client().leases()
    assert trouble.value.code == "no_extension"


def test_an_answer_from_another_version_says_so(runtime: Path, peers: list[Peer]) -> None:
    server, _ = peers
    server.file(runtime)
    server.answers.append((200, {}, {"leases": [{"id": "seven"}]}))
    with pytest.raises(GpuWorkbenchError, match="versions of GPU Workbench may differ"):
        Client().leases()


def test_many_threads_may_call(runtime: Path, peers: list[Peer]) -> None:
    server, _ = peers
    server.file(runtime)
    client, answers = Client(), []
    threads = [threading.Thread(target=lambda: answers.append(client.leases())) for _ in range(16)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert answers == [[]] * 16
