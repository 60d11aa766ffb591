"""A kernel on a slice: claimed at its start, kept over restarts, given back however it ends."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from typing import Any

import psutil
import pytest

from gpu_workbench import kernelspecs
from gpu_workbench.provisioner import SliceProvisioner
from tests.kernels.conftest import lease_of
from tests.kernels.talk import run_in_kernel
from tests.support.lab import REPOSITORY, HttpError, LabServer
from tests.support.waiting import wait_for

ENVIRONMENT = """
import json, os
names = ("GPU_WORKBENCH_LEASE", "GPU_WORKBENCH_SLICES", "GPU_WORKBENCH_SIMULATED",
         "GPU_WORKBENCH_MEMORY_BYTES", "CUDA_VISIBLE_DEVICES", "GPU_WORKBENCH_CONNECTION")
print(json.dumps({name: os.environ.get(name) for name in names}))
"""


def held_by(server: LabServer, kernel_id: str, not_pid: int | None = None) -> dict[str, Any]:
    """The kernel's lease, once its process is known and is another one."""

    def bound() -> dict[str, Any] | None:
        lease = lease_of(server, kernel_id)
        return lease if lease and lease["holder"]["pid"] not in (None, not_pid) else None

    lease = wait_for(bound, what="a lease bound to the kernel's process")
    assert lease
    return lease


def test_a_kernel_holds_the_smallest_slice_and_sees_it_in_its_environment(
    workbench: LabServer,
) -> None:
    kernel = workbench.start_kernel(path="churn.ipynb")
    lease = held_by(workbench, kernel["id"])
    seen = json.loads(run_in_kernel(workbench, kernel["id"], ENVIRONMENT))

    assert lease["profile"] == "mig-1g.10gb"
    assert lease["holder"]["kind"] == "kernel"
    assert lease["holder"]["name"] == "churn.ipynb"
    assert seen["GPU_WORKBENCH_LEASE"] == str(lease["id"])
    assert seen["GPU_WORKBENCH_SLICES"] == lease["slices"][0]["id"]
    assert seen["GPU_WORKBENCH_MEMORY_BYTES"] == str(lease["slices"][0]["memory_bytes"])
    assert seen["GPU_WORKBENCH_SIMULATED"] == "1"
    assert seen["CUDA_VISIBLE_DEVICES"] == ""
    assert seen["GPU_WORKBENCH_CONNECTION"]


def test_a_kernel_takes_the_lease_that_waits_for_its_notebook(workbench: LabServer) -> None:
    asked = workbench.api("POST", "requests", {"what": "20GB", "name": "deep/churn.ipynb"})
    (workbench.notebooks / "deep").mkdir(exist_ok=True)
    kernel = workbench.start_kernel(path="deep/churn.ipynb")
    assert held_by(workbench, kernel["id"])["id"] == asked["id"]


def test_a_restart_keeps_the_lease_and_binds_the_new_process(workbench: LabServer) -> None:
    kernel = workbench.start_kernel()
    before = held_by(workbench, kernel["id"])
    workbench.jupyter("POST", f"kernels/{kernel['id']}/restart")
    after = held_by(workbench, kernel["id"], not_pid=before["holder"]["pid"])
    assert after["id"] == before["id"]


def test_a_shutdown_frees_the_slice(workbench: LabServer) -> None:
    kernel = workbench.start_kernel()
    held_by(workbench, kernel["id"])
    workbench.jupyter("DELETE", f"kernels/{kernel['id']}")
    assert workbench.leases() == []
    wait_for(workbench.all_free, what="slice free")


def test_a_killed_kernel_is_restarted_on_the_same_lease(workbench: LabServer) -> None:
    kernel = workbench.start_kernel()
    before = held_by(workbench, kernel["id"])
    os.kill(before["holder"]["pid"], signal.SIGKILL)
    after = held_by(workbench, kernel["id"], not_pid=before["holder"]["pid"])
    assert psutil.pid_exists(after["holder"]["pid"])
    assert after["id"] == before["id"]


def spec_with(server: LabServer, argv: list[str]) -> str:
    """Install a spec whose kernel is another command; returns its name."""
    folder = server.data_dir / "kernels" / "broken"
    folder.mkdir(exist_ok=True)
    (folder / "kernel.json").write_text(json.dumps(kernelspecs.spec() | {"argv": argv}))
    return folder.name


def test_the_kernel_that_jupyter_gives_up_leaves_no_lease(workbench: LabServer) -> None:
    name = spec_with(workbench, ["python", "-c", "raise SystemExit(1)", "{connection_file}"])
    kernel = workbench.start_kernel(name)
    wait_for(lambda: kernel["id"] not in workbench.kernel_ids(), what="Jupyter gave up")
    wait_for(lambda: not workbench.leases(), what="the lease ended")
    newest = max(workbench.api("GET", "leases?ended=1")["leases"], key=lambda one: one["id"])
    assert newest["end_reason"] == "released", "given back at once, not by time-out"


def test_a_kernel_that_cannot_be_launched_holds_nothing(workbench: LabServer) -> None:
    name = spec_with(workbench, ["no-such-interpreter", "{connection_file}"])
    with pytest.raises(HttpError):
        workbench.start_kernel(name)
    assert workbench.leases() == []


def test_the_spec_that_is_shipped_is_the_one_that_the_code_writes() -> None:
    shipped = REPOSITORY / "kernels" / "kernel-specs" / "gpu-slice" / "kernel.json"
    assert json.loads(shipped.read_text()) == kernelspecs.spec()


def test_a_spec_may_say_what_to_lease(workbench: LabServer) -> None:
    kernelspecs.write(workbench.data_dir / "kernels" / "big", ask="20GB", hours=0.5)
    kernel = workbench.start_kernel("big")
    lease = held_by(workbench, kernel["id"])
    assert lease["profile"] == "mig-2g.20gb" or lease["profile"] == "fraction-0.25"
    assert round(lease["ends_at"] - lease["granted_at"]) == 1800


def test_when_nothing_is_free_the_reason_is_said_and_nothing_is_held(workbench: LabServer) -> None:
    for card in workbench.api("GET", "cards")["cards"]:
        while True:
            asked = workbench.api("POST", "requests", {"what": card["profile"], "name": "other"})
            if asked["state"] != "granted":
                workbench.api("DELETE", f"requests/{asked['id']}")
                break
    before = workbench.leases()
    with pytest.raises(HttpError) as refusal:
        workbench.start_kernel(path="late.ipynb")
    said = json.dumps(refusal.value.body)
    assert "is free now" in said and "GPU panel" in said
    assert workbench.leases() == before
    assert workbench.kernel_ids() == []


def test_nbclient_runs_a_notebook_on_a_slice_and_leaves_none(here: LabServer) -> None:
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.v4.new_notebook(
        cells=[
            nbformat.v4.new_code_cell("import os; os.environ['GPU_WORKBENCH_LEASE']"),
            nbformat.v4.new_code_cell("os.environ['GPU_WORKBENCH_BROKER'] != ''"),
        ]
    )
    NotebookClient(notebook, kernel_name="gpu-slice").execute()
    lease = notebook.cells[0].outputs[0]["data"]["text/plain"].strip("'")
    assert here.api("GET", f"leases/{lease}")["end_reason"] == "released"
    assert notebook.cells[1].outputs[0]["data"]["text/plain"] == "True"
    wait_for(here.all_free, what="slice free")


def test_a_provisioner_can_be_saved_and_loaded() -> None:
    """As a gateway does that hands its kernels over to another."""

    async def saved() -> SliceProvisioner:
        first = SliceProvisioner(kernel_id="k")
        first.lease_id, first._path = 7, "churn.ipynb"
        second = SliceProvisioner()
        await second.load_provisioner_info(await first.get_provisioner_info())
        return second

    loaded = asyncio.run(saved())
    assert (loaded.lease_id, loaded._path, loaded.kernel_id) == (7, "churn.ipynb", "k")
