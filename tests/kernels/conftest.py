"""A real server on simulated GPUs, and real kernels on it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.lab import LabServer


@pytest.fixture(scope="session")
def session_workbench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabServer]:
    # Jupyter looks after its kernels every 3 s; here it is quicker to give one up.
    quick = {"KernelRestarter": {"time_to_dead": 0.5}}
    with LabServer(tmp_path_factory.mktemp("workbench"), config=quick) as server:
        yield server


@pytest.fixture
def workbench(session_workbench: LabServer) -> Iterator[LabServer]:
    """The session's server, with nothing held before and after the test."""
    yield session_workbench
    session_workbench.give_everything_back()


@pytest.fixture
def here(workbench: LabServer, monkeypatch: pytest.MonkeyPatch) -> LabServer:
    """This process as one of the server's user: `gw` and `Client` find `workbench`."""
    point_here(workbench, monkeypatch)
    return workbench


def point_here(server: LabServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process find `server`, and take nothing of the machine's own set-up."""
    import gpu_workbench.client as client
    from gpu_workbench import protocol as wire
    from gpu_workbench.attach import MANAGED

    for name in (*MANAGED, wire.CONNECTION_ENV, wire.BROKER_ENV, "JPY_SESSION_NAME"):
        # Set first: monkeypatch then puts back what was there, also what the test itself sets.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(server.runtime_dir))
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(server.data_dir))
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "0")
    monkeypatch.setattr(client, "_default", None)


def lease_of(server: LabServer, kernel_id: str) -> dict[str, Any] | None:
    """The live lease that a kernel holds."""
    for lease in server.leases():
        if lease["holder"] and lease["holder"]["id"] == kernel_id:
            return lease
    return None
