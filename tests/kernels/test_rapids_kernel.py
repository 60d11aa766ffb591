"""A kernel of another environment, on a slice. That is a real venv; its cuDF is so by name only."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gpu_workbench_server.rapids_kernel import NotOffered, inspect
from tests.kernels.conftest import lease_of
from tests.kernels.talk import run_in_kernel
from tests.support.lab import REPOSITORY, LabServer
from tests.support.waiting import wait_for


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with ipykernel and ours, taken from this one's packages, and a cudf."""
    root = tmp_path_factory.mktemp("environments") / "rapids"
    venv.create(root, symlinks=True)
    (packages,) = root.glob("lib/python*/site-packages")
    theirs = [sysconfig.get_path("purelib"), str(REPOSITORY / "kernels")]
    (packages / "theirs.pth").write_text("\n".join(theirs) + "\n")
    (packages / "cudf").mkdir()
    (packages / "cudf" / "__init__.py").write_text("raise ImportError('not without a GPU')\n")
    return root


@pytest.fixture
def server(environment: Path, tmp_path: Path) -> Iterator[LabServer]:
    with LabServer(tmp_path, workbench={"rapids_environment": str(environment)}) as server:
        yield server
        for one in server.api("GET", "clusters")["clusters"]:
            server.api("DELETE", f"clusters/{one['id']}")
        server.give_everything_back()


def offered(server: LabServer) -> dict[str, Any]:
    found: dict[str, Any] = server.jupyter("GET", "kernelspecs")["kernelspecs"]
    return found


IN_THE_KERNEL = """
import os, sys, gpu_workbench as gw
assert not {"cudf", "pandas"} & set(sys.modules)
print(sys.prefix, os.environ["GPU_WORKBENCH_SIMULATED"])
print(gw.rapids_status())
with gw.cluster(1, "1g.10gb") as cluster:
    print("worker", cluster.get_client().submit(lambda: __import__("sys").prefix).result())
"""


def test_it_is_offered_and_runs_on_a_slice_with_its_own_packages(
    server: LabServer, environment: Path
) -> None:
    spec = wait_for(lambda: offered(server).get("gpu-rapids"), what="it is offered")
    assert spec and spec["spec"]["display_name"] == "Python (RAPIDS)"
    kernel = server.start_kernel("gpu-rapids", path="trains.ipynb")
    told = run_in_kernel(server, kernel["id"], IN_THE_KERNEL, 120)
    assert f"{environment} 1" in told
    assert "cudf" in told and "simulated slice of" in told and "missing: dask_cuda" in told
    assert f"worker {environment}" in told, "its clusters run in its environment"
    lease = lease_of(server, kernel["id"])
    assert lease and lease["holder"]["kind"] == "kernel"
    server.jupyter("DELETE", f"kernels/{kernel['id']}")
    wait_for(lambda: server.leases() == [], what="given back with the kernel")


def test_an_environment_that_can_not_run_it_is_not_offered_and_the_log_says_why(
    tmp_path: Path,
) -> None:
    bare = tmp_path / "bare"
    venv.create(bare, symlinks=True)
    with LabServer(tmp_path / "server", workbench={"rapids_environment": str(bare)}) as server:
        said = f"{bare} lacks jupyterlab-gpu-workbench and ipykernel: {bare}/bin/python -m pip"
        wait_for(lambda: said in server.log_tail(), what="said in the log")
        assert "gpu-rapids" not in offered(server)
        assert server.api("GET", "status")["units_free"] == 2.0, "all else works"
        doctor = subprocess.run(
            [sys.executable, "-m", "gpu_workbench_server.cli", "doctor"],
            env=server.env, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert "! RAPIDS kernel" in doctor.stdout and "lacks" in doctor.stdout


def test_a_path_that_is_no_environment_is_said_to_be_none(tmp_path: Path) -> None:
    with pytest.raises(NotOffered, match="no Python environment"):
        inspect(tmp_path)
    assert inspect(Path(sys.executable)).python == Path(sys.executable)
