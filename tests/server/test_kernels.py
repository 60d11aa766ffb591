"""The server's kernels as the reaper sees them, and what happens to one whose lease ends."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import psutil
import pytest

from gpu_workbench_server.web.kernels import JupyterKernels


@pytest.fixture
def session(jp_fetch: Any) -> Any:
    """Opens a session for a notebook, as JupyterLab does; returns the kernel's id."""

    async def opened(path: str) -> str:
        body = {"path": path, "type": "notebook", "name": path, "kernel": {"name": "python3"}}
        answer = await jp_fetch("api", "sessions", method="POST", body=json.dumps(body))
        return str(json.loads(answer.body)["kernel"]["id"])

    return opened


async def test_a_kernel_is_seen_with_its_process_and_its_notebook(
    workbench: Any, jp_serverapp: Any, session: Any
) -> None:
    kernels = JupyterKernels(jp_serverapp.kernel_manager, asyncio.get_running_loop())
    assert kernels.kernels() == []
    kernel_id = await session("churn.ipynb")
    [seen] = await asyncio.to_thread(kernels.kernels)
    assert seen.id == kernel_id
    assert seen.name.endswith("churn.ipynb")
    assert seen.pid is not None
    assert psutil.Process(seen.pid).is_running()
    assert seen.last_activity > 0


async def test_a_kernel_is_stopped_from_another_thread_and_a_second_stop_is_nothing(
    workbench: Any, jp_serverapp: Any, session: Any
) -> None:
    manager = jp_serverapp.kernel_manager
    kernels = JupyterKernels(manager, asyncio.get_running_loop())
    kernel_id = await session("a.ipynb")

    async def gone() -> bool:
        return kernel_id not in manager

    await asyncio.to_thread(kernels.stop, kernel_id)
    await workbench.eventually(gone, "stopped")
    await asyncio.to_thread(kernels.stop, kernel_id)
    assert kernels.kernels() == []


async def test_a_kernel_whose_lease_is_given_back_is_stopped_and_its_slice_is_free(
    workbench: Any, jp_serverapp: Any, session: Any
) -> None:
    kernel_id = await session("a.ipynb")
    kernels = JupyterKernels(jp_serverapp.kernel_manager, asyncio.get_running_loop())
    [seen] = kernels.kernels()
    claim = {"path": "a.ipynb", "kernel_id": kernel_id, "ask": {"what": "gpu"}}
    number = (await workbench.call("POST", "leases/claim", claim))[1]["id"]
    started = psutil.Process(seen.pid).create_time()
    holder = {
        "kind": "kernel", "id": kernel_id, "name": "a.ipynb", "pid": seen.pid, "started": started
    }  # fmt: skip
    await workbench.call("POST", f"leases/{number}/bind", holder)
    await workbench.call("DELETE", f"leases/{number}")

    async def cleared() -> bool:
        return bool((await workbench.call("GET", f"leases/{number}"))[1]["cleared"])

    async def forgotten() -> bool:
        return kernel_id not in jp_serverapp.kernel_manager

    await workbench.eventually(cleared, "cleared")
    await workbench.eventually(forgotten, "forgotten")
