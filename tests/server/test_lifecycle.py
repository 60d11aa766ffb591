"""Start and stop: how kernels find the server, what a clean stop gives back, what keeps it up."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from gpu_workbench import protocol as wire
from gpu_workbench_server.observe.events import LEASE
from gpu_workbench_server.web.connection import Connection, local_url
from gpu_workbench_server.web.identity import LocalIdentity
from tests.support.lab import LabServer
from tests.support.waiting import wait_for


async def test_the_connection_file_is_private_names_the_server_and_goes_with_it(
    workbench: Any,
) -> None:
    await workbench.call("GET", "status")
    path = Path(os.environ[wire.CONNECTION_ENV])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    told = json.loads(path.read_text())
    assert told["pid"] == os.getpid()
    assert told["url"].startswith("http://127.0.0.1:")
    assert told["url"].endswith("/a%40b/")
    assert told["token"] == workbench.app.workbench.kernel_token

    await workbench.app.stop_extension()
    assert not path.exists()
    assert wire.CONNECTION_ENV not in os.environ


def test_files_of_servers_that_were_killed_are_swept(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    old = tmp_path / f"gpu-workbench-{ended.pid}.json"
    alive = tmp_path / f"gpu-workbench-{os.getppid()}.json"
    old.write_text("{}")
    alive.write_text("{}")
    connection = Connection(tmp_path, "secret")
    connection.publish("http://127.0.0.1:1/")
    try:
        assert sorted(tmp_path.iterdir()) == sorted([alive, connection.path])
    finally:
        connection.withdraw()


def test_the_local_address_is_one_that_this_machine_can_reach() -> None:
    def url(ip: str, tls: bool = False) -> str:
        return local_url(ip=ip, port=8888, base_url="/u/ana/", tls=tls)

    assert url("0.0.0.0") == url("") == url("localhost") == "http://127.0.0.1:8888/u/ana/"
    assert url("::") == "http://[::1]:8888/u/ana/"
    assert url("10.0.0.5", tls=True) == "https://10.0.0.5:8888/u/ana/"


def test_everything_belongs_to_the_person_the_server_runs_as(monkeypatch: Any) -> None:
    monkeypatch.delenv("JUPYTERHUB_USER", raising=False)
    mine = LocalIdentity().principal("anonymous moon")
    assert mine == LocalIdentity().principal("anonymous sun")
    assert mine.user
    monkeypatch.setenv("JUPYTERHUB_USER", "ana")
    assert LocalIdentity().principal("whoever").user == "ana"


def test_a_kernel_inherits_the_way_to_the_server_and_a_clean_stop_gives_its_slice_back(
    tmp_path: Path,
) -> None:
    server = LabServer(tmp_path, workbench={"devices": "simulated", "lease_ttl": 60})
    with server:
        kernel = server.start_kernel("python3", path="churn.ipynb")
        [child] = wait_for(lambda: kernels_of(server, "churn.ipynb"), what="the kernel's process")
        environ = child.environ()
        connection = json.loads(Path(environ[wire.CONNECTION_ENV]).read_text())
        assert connection["url"] == server.url
        assert environ[wire.BROKER_ENV]

        lease = server.api("POST", "leases/claim", {
            "path": "churn.ipynb", "kernel_id": kernel["id"], "ask": {"what": "10GB"},
        })  # fmt: skip
        holder = {"kind": "kernel", "id": kernel["id"], "name": "churn.ipynb", "pid": child.pid,
                  "started": child.create_time()}  # fmt: skip
        server.api("POST", f"leases/{lease['id']}/bind", holder)
        token = server.token

    again = LabServer(tmp_path, workbench={"devices": "simulated", "lease_ttl": 60})
    assert token != again.token
    with again:
        assert again.leases() == []
        [past] = again.api("GET", "leases?ended=1")["leases"]
        assert (past["id"], past["end_reason"]) == (lease["id"], "released")


def kernels_of(server: LabServer, notebook: str) -> list[psutil.Process]:
    found = []
    for one in psutil.Process(server.pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # over since
            if one.environ().get("JPY_SESSION_NAME", "").endswith(notebook):
                found.append(one)
    return found


async def test_a_detached_holder_keeps_an_idle_server_up_and_a_kernel_lease_does_not(
    workbench: Any,
) -> None:
    assert workbench.app.current_activity() is None
    await workbench.call("POST", "requests", {"what": "10GB"})
    assert workbench.app.current_activity() is None
    await workbench.call("POST", "requests", {"what": "10GB", "purpose": "job"})
    assert workbench.app.current_activity() == {"clusters and jobs": 1}


async def test_a_call_that_comes_before_the_services_are_up_waits_for_them(
    jp_serverapp: Any, jp_fetch: Any
) -> None:
    path = (*wire.BASE_PATH.strip("/").split("/"), "status")
    early = asyncio.ensure_future(jp_fetch(*path))
    await asyncio.sleep(0.1)
    assert not early.done()
    await jp_serverapp.extension_manager.start_all_extensions()
    assert (await early).code == 200


async def test_stopping_while_starting_leaves_nothing_open(workbench: Any) -> None:
    await workbench.app.stop_extension()  # composition may still be under way
    code, problem = await workbench.call("GET", "status")
    assert (code, problem["code"]) == (503, "unavailable")
    await workbench.app.stop_extension()


async def test_grants_are_audit_events_of_the_jupyter_server(
    workbench: Any, jp_serverapp: Any
) -> None:
    await workbench.call("GET", "status")
    heard: list[tuple[str, int]] = []

    async def listener(logger: Any, schema_id: str, data: dict[str, Any]) -> None:
        heard.append((data["action"], data["id"]))

    jp_serverapp.event_logger.add_listener(schema_id=LEASE, listener=listener)
    number = (await workbench.call("POST", "requests", {"what": "10GB"}))[1]["id"]
    await workbench.call("DELETE", f"leases/{number}")

    async def both() -> bool:
        return {("granted", number), ("ended", number)} <= set(heard)

    await workbench.eventually(both, f"audit events; heard {heard}")
