"""What dask-cuda's parts are given on a real slice.

dask-cuda needs a driver: its place is taken by packages whose parts have its parameters (26.10) and
remember what they were called with.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PACKAGES = {
    "dask_cuda/__init__.py": "",
    "dask_cuda/device_host_file.py": "class DeviceHostFile: pass\n",
    "dask_cuda/plugins.py": """
class CPUAffinity:
    def __init__(self, cores):
        self.given = {"cores": cores}

class RMMSetup:
    def __init__(self, initial_pool_size, maximum_pool_size, managed_memory, async_alloc,
                 release_threshold, log_directory, track_allocations, external_lib_list):
        self.given = dict(vars(), self=None)
""",
    "rmm/__init__.py": "raise ImportError('not in the process of the nannies')\n",
    "cupy/__init__.py": "raise ImportError('not in the process of the nannies')\n",
}
PROGRAM = """
import json
from pathlib import Path
from gpu_workbench.holders.dask_workers import nanny_options
from gpu_workbench.holders.worker_specs import WorkerSpec
spec = WorkerSpec(name="1.0", device="GPU-1", nthreads=1, memory_limit=8 << 30,
    device_memory_limit=16 << 30, rmm_pool=5 << 30, rmm_maximum=18 << 30, cpus=(4, 5),
    resources={"GPU": 1}, env={})
options = nanny_options(spec, Path("."))
store, limits = options["data"]
print(json.dumps({"store": store.__name__, "limits": limits, "preload": options["preload"],
    "plugins": {type(one).__name__: one.given for one in options["plugins"]}}))
"""


@pytest.fixture
def given(tmp_path: Path) -> dict[str, Any]:
    for name, text in PACKAGES.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]).strip(os.pathsep)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_data_spills_at_the_slices_own_limit_and_the_worker_stays_on_its_cpus(
    given: dict[str, Any],
) -> None:
    assert given["store"] == "DeviceHostFile"
    assert given["limits"] == {"device_memory_limit": 16 << 30, "memory_limit": 8 << 30}
    assert given["plugins"]["CPUAffinity"] == {"cores": [4, 5]}
    assert given["preload"] == ["dask_cuda.initialize"]


def test_the_pool_is_the_slices_and_cupys_arrays_come_from_it(given: dict[str, Any]) -> None:
    pool = given["plugins"]["RMMSetup"]
    assert (pool["initial_pool_size"], pool["maximum_pool_size"]) == (5 << 30, 18 << 30)
    assert pool["external_lib_list"] == ["cupy"], "dask-cuda leaves them to a pool of cupy's own"
    assert not pool["managed_memory"] and not pool["async_alloc"]
