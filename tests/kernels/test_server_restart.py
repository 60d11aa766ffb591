"""What a kernel's lease and a wait do when the server goes away."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import gpu_workbench as gw
from gpu_workbench.leases import LeaseHandle
from tests.kernels.conftest import point_here
from tests.support.lab import LabServer
from tests.support.waiting import wait_for


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LabServer]:
    with LabServer(tmp_path) as started:
        point_here(started, monkeypatch)
        yield started


def test_a_server_that_is_stopped_gives_back_what_its_kernels_held(server: LabServer) -> None:
    server.start_kernel()
    (lease,) = server.leases()
    server.restart()
    wait_for(server.all_free, what="slice free")
    assert server.api("GET", f"leases/{lease['id']}")["end_reason"] == "released"


def test_a_killed_server_holds_nothing_for_kernels_that_died_with_it(server: LabServer) -> None:
    server.start_kernel()
    (lease,) = server.leases()
    server.restart(kill=True)
    wait_for(server.all_free, what="slice free")
    assert server.api("GET", f"leases/{lease['id']}")["end_reason"] == "lost"


def test_a_lease_and_a_wait_live_through_a_restart_of_the_server(server: LabServer) -> None:
    first = gw.request("gpu")
    granted: list[LeaseHandle] = []
    waiter = threading.Thread(target=lambda: granted.append(gw.request("gpu")))
    waiter.start()
    wait_for(lambda: server.api("GET", "requests")["requests"], what="the second waits")
    server.restart(kill=True, same_port=False)
    assert [one["id"] for one in server.leases()] == [first.id]
    first.release()
    waiter.join(90)
    assert [one.state for one in granted] == ["active"]
    granted[0].release()
