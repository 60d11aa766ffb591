"""What is killed leaks nothing, and what outlives its server is found again.

A real Jupyter server with a kernel, a Dask cluster and a training job on it, and SIGKILL.
"""

from __future__ import annotations

import os
import signal
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cloudpickle
import pytest
from distributed import Client
from distributed.security import Security

from tests.support.lab import HttpError, LabServer
from tests.support.processes import started_by
from tests.support.waiting import wait_for

TTL = 20


def count_slowly(steps: int) -> int:
    """A training loop without the training: logs a step every tenth of a second."""
    import time

    import gpu_workbench as gw

    for step in range(steps):
        gw.log(step, loss=1.0 / (step + 1))
        time.sleep(0.1)
    return steps


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LabServer]:
    with LabServer(tmp_path, workbench={"lease_ttl": TTL}) as lab:
        try:
            yield lab
        finally:
            end_everything(lab)


def end_everything(lab: LabServer) -> None:
    """Stop what the test left, and check that nothing of it lives."""
    lab.give_everything_back()
    assert not started_by(lab), "processes of a lease outlived it"


def start_kernel(lab: LabServer) -> dict[str, Any]:
    """A kernel on a slice; returns its lease, bound to the kernel's process."""
    lab.start_kernel(path="work.ipynb")

    def bound() -> dict[str, Any] | None:
        for lease in lab.leases():
            holder = lease["holder"] or {}
            if holder.get("kind") == "kernel" and holder.get("pid"):
                return dict(lease)
        return None

    return wait_for(bound, what="the kernel's lease")  # type: ignore[return-value]


def start_cluster(lab: LabServer) -> dict[str, Any]:
    made = lab.api("POST", "clusters", {"workers": 1, "per_worker": "1g.10gb", "name": "flock"})
    return cluster_when(lab, made["id"], "running")


def cluster_when(lab: LabServer, cluster_id: str, state: str) -> dict[str, Any]:
    def reached() -> dict[str, Any] | None:
        one: dict[str, Any] = lab.api("GET", f"clusters/{cluster_id}")
        return one if one["state"] == state else None

    return wait_for(reached, what=f"cluster {state}")  # type: ignore[return-value]


def start_job(lab: LabServer, steps: int = 100_000) -> dict[str, Any]:
    cloudpickle.register_pickle_by_value(__import__(__name__, fromlist=["_"]))
    function = b64encode(cloudpickle.dumps((count_slowly, (steps,), {}))).decode()
    made = lab.api(
        "POST",
        "jobs",
        {
            "ranks": 1,
            "per_rank": "0.25",
            "function_b64": function,
            "function_name": "count_slowly",
            "name": "count",
        },
    )
    return job_when(lab, made["id"], lambda job: job["state"] == "running" and job["step"])


def job_when(lab: LabServer, job_id: str, condition: Any) -> dict[str, Any]:
    def reached() -> dict[str, Any] | None:
        one: dict[str, Any] = lab.api("GET", f"jobs/{job_id}")
        return one if condition(one) else None

    return wait_for(reached, what=f"job {job_id}")  # type: ignore[return-value]


def use(cluster: dict[str, Any]) -> int:
    """Do a sum on the cluster, as a notebook would."""
    files = cluster["security"]
    security = (
        Security(
            tls_ca_file=files["ca"],
            tls_client_cert=files["cert"],
            tls_client_key=files["key"],
            require_encryption=True,
        )
        if files
        else None
    )
    with Client(cluster["scheduler_address"], security=security, timeout=60) as client:
        return int(client.submit(sum, range(10)).result(timeout=60))


def pid_of(lab: LabServer, lease_id: int) -> int:
    """0 while a kernel restarts."""
    return int(lab.api("GET", f"leases/{lease_id}")["holder"]["pid"] or 0)


def kernels_are_shut_down(lab: LabServer) -> bool:
    """Asks again where Jupyter is not done with restarting one: it answers 500 then."""
    try:
        for kernel_id in lab.kernel_ids():
            lab.jupyter("DELETE", f"kernels/{kernel_id}")
    except HttpError:
        return False
    return not lab.kernel_ids()


def lease_is_cleared(lab: LabServer, lease_id: int) -> bool:
    return bool(lab.api("GET", f"leases/{lease_id}")["cleared"])


def test_killing_the_server_leaves_cluster_and_job_usable_and_frees_the_kernels_slice(
    server: LabServer,
) -> None:
    lease = start_kernel(server)
    cluster = start_cluster(server)
    job = start_job(server)
    server.restart(kill=True)
    again = cluster_when(server, cluster["id"], "running")
    assert use(again) == 45
    before = job["step"]
    went_on = job_when(server, job["id"], lambda one: (one["step"] or 0) > before + 5)
    assert went_on["state"] == "running"
    wait_for(lambda: lease_is_cleared(server, lease["id"]), TTL + 60, "the kernel's slice is free")
    assert server.api("GET", f"leases/{lease['id']}")["end_reason"] == "lost"
    # and they are still ours to end
    server.api("POST", f"jobs/{job['id']}/stop")
    job_when(server, job["id"], lambda one: one["state"] == "stopped")


def test_killing_a_kernel_frees_its_slice_or_gives_it_to_the_kernel_restarted(
    server: LabServer,
) -> None:
    lease = start_kernel(server)
    old = pid_of(server, lease["id"])
    os.kill(old, signal.SIGKILL)
    # Jupyter restarts it by itself, on the same lease
    wait_for(
        lambda: pid_of(server, lease["id"]) not in (0, old), what="the kernel is back on its lease"
    )
    assert server.api("GET", f"leases/{lease['id']}")["state"] == "active"
    wait_for(lambda: kernels_are_shut_down(server), what="the kernel is shut down")
    wait_for(lambda: lease_is_cleared(server, lease["id"]), what="free after the kernel's shutdown")


def test_killing_a_cluster_ends_its_workers_and_frees_its_slices(server: LabServer) -> None:
    cluster = start_cluster(server)
    os.kill(pid_of(server, cluster["leases"][0]), signal.SIGKILL)
    failed = cluster_when(server, cluster["id"], "failed")
    assert failed["message"]
    wait_for(lambda: lease_is_cleared(server, cluster["leases"][0]), what="its slices are free")
    assert not started_by(server)


def test_killing_a_job_ends_its_ranks_and_frees_its_slices(server: LabServer) -> None:
    job = start_job(server)
    os.kill(pid_of(server, job["lease_id"]), signal.SIGKILL)
    over = job_when(server, job["id"], lambda one: one["state"] in ("failed", "lost"))
    assert over["message"]
    wait_for(lambda: lease_is_cleared(server, job["lease_id"]), what="its slices are free")
    assert not started_by(server)
