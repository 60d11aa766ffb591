"""What each Dask worker is told of its slice: exact values, from the driver to the worker.

The fake NVML library is read by the real backend, the real broker cuts the slice, and the worker's
spec is made of that. dask-cuda's own set-up gets each of the cases below wrong on slices (seen on
the same library); there is a test for each that shows ours right.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from gpu_workbench import protocol as wire
from gpu_workbench.holders.affinity import cpus_near
from gpu_workbench.holders.dask_workers import nanny_options
from gpu_workbench.holders.worker_specs import Machine, WorkerSpec, worker_spec
from gpu_workbench_server.devices.nvml import NvmlBackend
from gpu_workbench_server.ports import News, Principal
from gpu_workbench_server.services.broker import Broker
from gpu_workbench_server.services.policy import Policy
from gpu_workbench_server.store.memory import MemoryStore
from tests.fakes.nvml import FakeDriver, FakeGpu, FakeInstance, install

ADA = Principal("ada")
GIB = 1 << 30
MODELS = {  # name and MiB, as the driver tells
    "A100-40": ("NVIDIA A100-SXM4-40GB", 40960),
    "A100-80": ("NVIDIA A100-SXM4-80GB", 81920),
    "H100-80": ("NVIDIA H100 80GB HBM3", 81559),
    "H200-141": ("NVIDIA H200", 143771),
}
MIB = {  # of MIG instances
    "A100-40": {"1g.5gb": 4864, "2g.10gb": 9856, "3g.20gb": 19968, "4g.20gb": 19968}
    | {"7g.40gb": 40192},
    "A100-80": {"1g.10gb": 9728, "1g.20gb": 19968, "2g.20gb": 19968, "3g.40gb": 40192}
    | {"4g.40gb": 40192, "7g.80gb": 80896},
    "H100-80": {"1g.10gb": 9984, "1g.20gb": 20096, "2g.20gb": 20096, "3g.40gb": 40448}
    | {"4g.40gb": 40448, "7g.80gb": 81152},
    "H200-141": {"1g.18gb": 16384, "1g.35gb": 33280, "2g.35gb": 33280, "3g.71gb": 71424}
    | {"4g.71gb": 71424, "7g.141gb": 143360},
}
DECOY = FakeGpu("Tesla T4", 15360 << 20, cpus=0x3, instances=[])
"""Index 0, which dask-cuda asks whatever the worker's GPU is; it has nothing to lease."""


class Fleet:
    """A driver with these GPUs behind a decoy, and a broker that leases them."""

    def __init__(self, directory: Path, *gpus: FakeGpu) -> None:
        self.driver = FakeDriver(gpus=[DECOY, *gpus])
        self.fake = install(self.driver, directory)
        self.devices = NvmlBackend(self.fake.library)
        self.broker = Broker(MemoryStore(), self.devices, self, self, Policy())
        self.broker.start()
        self.asked = wire.ClusterSpec(
            id="cluster-1",
            name="flights",
            threads_per_worker=2,
            host_memory_bytes=None,
            fleet_units=4.0,
            idle_seconds=None,
        )

    def now(self) -> float:
        return time.time()

    def tell(self, news: News) -> None:
        """Nobody listens."""

    def lease(self, what: str) -> wire.Lease:
        request = self.broker.ask(ADA, wire.Ask(what=what, purpose="cluster"))
        assert request.state == "granted", request.reason
        return self.broker.lease(ADA, request.id)

    def worker(self, what: str, memory: int = 512 * GIB) -> WorkerSpec:
        lease = self.lease(what)
        (one,) = lease.slices
        return worker_spec(self.asked, lease, one, Machine(memory, cpus_near(one.gpu)))


@pytest.fixture
def fleets(tmp_path: Path) -> Iterator[list[Fleet]]:
    made: list[Fleet] = []
    yield made
    for one in made:
        one.devices.close()


def of_model(model: str, instance: str | None = None) -> FakeGpu:
    name, total = MODELS[model]
    instances = None
    if instance is not None:
        slices = int(instance[0])
        size = MIB[model][instance] << 20
        start = FakeInstance(instance, gi=1, start=0, size=1, slices=slices, memory=size)
        instances = [start]
    return FakeGpu(name, total << 20, cpus=0xF0, instances=instances)


# fmt: off
SIZES = [  # model, what is asked for → bytes of: slice, device_memory_limit, RMM pool, its maximum
    ("A100-40", "gpu", 42949672960, 34359738368, 10737418240, 38654705664),
    ("A100-40", "0.5", 21474836480, 17179869184, 5368709120, 19327352832),
    ("A100-40", "0.25", 10737418240, 8589934592, 2684354560, 9663676416),
    ("A100-40", "1g.5gb", 5100273664, 4080218931, 1275068416, 4590246144),
    ("A100-40", "2g.10gb", 10334765056, 8267812044, 2583691264, 9301288448),
    ("A100-40", "3g.20gb", 20937965568, 16750372454, 5234491392, 18844168960),
    ("A100-40", "4g.20gb", 20937965568, 16750372454, 5234491392, 18844168960),
    ("A100-40", "7g.40gb", 42144366592, 33715493273, 10536091648, 37929929728),
    ("A100-80", "gpu", 85899345920, 68719476736, 21474836480, 77309411328),
    ("A100-80", "0.5", 42949672960, 34359738368, 10737418240, 38654705664),
    ("A100-80", "0.25", 21474836480, 17179869184, 5368709120, 19327352832),
    ("A100-80", "1g.10gb", 10200547328, 8160437862, 2550136832, 9180492544),
    ("A100-80", "1g.20gb", 20937965568, 16750372454, 5234491392, 18844168960),
    ("A100-80", "2g.20gb", 20937965568, 16750372454, 5234491392, 18844168960),
    ("A100-80", "3g.40gb", 42144366592, 33715493273, 10536091648, 37929929728),
    ("A100-80", "4g.40gb", 42144366592, 33715493273, 10536091648, 37929929728),
    ("A100-80", "7g.80gb", 84825604096, 67860483276, 21206401024, 76343043584),
    ("H100-80", "gpu", 85520809984, 68416647987, 21380202496, 76968728832),
    ("H100-80", "0.5", 42760404992, 34208323993, 10690101248, 38484364288),
    ("H100-80", "0.25", 21380202496, 17104161996, 5345050624, 19242182144),
    ("H100-80", "1g.10gb", 10468982784, 8375186227, 2617245696, 9422084352),
    ("H100-80", "1g.20gb", 21072183296, 16857746636, 5268045824, 18964964864),
    ("H100-80", "2g.20gb", 21072183296, 16857746636, 5268045824, 18964964864),
    ("H100-80", "3g.40gb", 42412802048, 33930241638, 10603200512, 38171521792),
    ("H100-80", "4g.40gb", 42412802048, 33930241638, 10603200512, 38171521792),
    ("H100-80", "7g.80gb", 85094039552, 68075231641, 21273509888, 76584635392),
    ("H200-141", "gpu", 150754820096, 120603856076, 37688705024, 135679337984),
    ("H200-141", "0.5", 75377410048, 60301928038, 18844352512, 67839668992),
    ("H200-141", "0.25", 37688705024, 30150964019, 9422176256, 33919834368),
    ("H200-141", "1g.18gb", 17179869184, 13743895347, 4294967296, 15461882112),
    ("H200-141", "1g.35gb", 34896609280, 27917287424, 8724152320, 31406948352),
    ("H200-141", "2g.35gb", 34896609280, 27917287424, 8724152320, 31406948352),
    ("H200-141", "3g.71gb", 74893492224, 59914793779, 18723373056, 67404142848),
    ("H200-141", "4g.71gb", 74893492224, 59914793779, 18723373056, 67404142848),
    ("H200-141", "7g.141gb", 150323855360, 120259084288, 37580963840, 135291469824),
]
# fmt: on


@pytest.mark.parametrize(("model", "what", "size", "spill", "pool", "maximum"), SIZES)
def test_a_worker_is_told_its_slices_own_bytes_device_and_cpus(
    model: str,
    what: str,
    size: int,
    spill: int,
    pool: int,
    maximum: int,
    tmp_path: Path,
    fleets: list[Fleet],
) -> None:
    mig = what if what in MIB[model] else None
    fleets.append(fleet := Fleet(tmp_path, of_model(model, mig)))
    found = fleet.worker(what)
    device = fleet.driver.instance_uuid(1, 0) if mig else fleet.driver.gpu_uuid(1)
    assert found.device == found.env["CUDA_VISIBLE_DEVICES"] == device
    assert found.env["GPU_WORKBENCH_MEMORY_BYTES"] == str(size)
    assert found.device_memory_limit == spill == int(found.env["CUDF_SPILL_DEVICE_LIMIT"])
    assert (found.rmm_pool, found.rmm_maximum) == (pool, maximum)
    assert found.cpus == (4, 5, 6, 7) and found.nthreads == 2
    assert found.env["ARROW_DEFAULT_MEMORY_POOL"] == "system", "it gives memory back"
    assert found.env["CUDF_SPILL"] == "on" and found.env["OMP_NUM_THREADS"] == "2"
    assert found.resources == {"GPU": 1}
    share = {"gpu": 1.0, "0.5": 0.5, "0.25": 0.25}.get(what) or round(int(what[0]) / 7, 4)
    assert found.memory_limit == int(512 * GIB * 0.8 * share / 4)


# --- what dask-cuda gets wrong ------------------------------------------------------------------


def test_a_mig_slice_is_not_judged_by_its_parent(tmp_path: Path, fleets: list[Fleet]) -> None:
    """dask-cuda: 0.8 of the parent, so a 1g.10gb would begin to spill at 64 GiB."""
    fleets.append(fleet := Fleet(tmp_path, of_model("A100-80", "1g.10gb")))
    assert (fleet.worker("1g.10gb").device_memory_limit or 0) < 8 * GIB


def test_each_worker_has_its_own_limit_not_the_first_ones(
    tmp_path: Path, fleets: list[Fleet]
) -> None:
    """dask-cuda: parsed once, on the first device, for all workers."""
    fleets.append(
        fleet := Fleet(tmp_path, of_model("A100-80", "1g.10gb"), of_model("A100-80", "3g.40gb"))
    )
    small, large = fleet.worker("1g.10gb"), fleet.worker("3g.40gb")
    assert (small.device_memory_limit, large.device_memory_limit) == (8160437862, 33715493273)


def test_a_pool_is_sized_by_the_workers_gpu_not_by_the_first_of_the_machine(
    tmp_path: Path, fleets: list[Fleet]
) -> None:
    """dask-cuda: an RMM share is one of NVML index 0, here a T4 of 15 GB."""
    fleets.append(fleet := Fleet(tmp_path, of_model("H200-141")))
    assert fleet.worker("gpu").rmm_maximum == 135679337984


def test_two_workers_share_one_gpu(tmp_path: Path, fleets: list[Fleet]) -> None:
    """dask-cuda: one worker a GPU, never two."""
    fleets.append(fleet := Fleet(tmp_path, of_model("H100-80")))
    one, two = fleet.worker("0.5"), fleet.worker("0.5")
    assert one.device == two.device == fleet.driver.gpu_uuid(1) and one.name != two.name
    total = (one.rmm_maximum or 0) + (two.rmm_maximum or 0)
    assert total <= 81559 << 20


def test_whole_gpus_instances_and_fractions_go_into_one_cluster(
    tmp_path: Path, fleets: list[Fleet]
) -> None:
    """dask-cuda: indices and UUIDs can't be mixed."""
    fleets.append(
        fleet := Fleet(
            tmp_path, of_model("H100-80"), of_model("H100-80", "1g.10gb"), of_model("A100-40")
        )
    )
    devices = [fleet.worker(what).device for what in ("gpu", "1g.10gb", "0.25")]
    assert [one.partition("-")[0] for one in devices] == ["GPU", "MIG", "GPU"]
    assert len(set(devices)) == 3


def test_a_worker_sees_one_device(tmp_path: Path, fleets: list[Fleet]) -> None:
    """dask-cuda: MIG workers get a list of UUIDs, of which CUDA sees the first only."""
    fleets.append(
        fleet := Fleet(tmp_path, of_model("H100-80", "1g.10gb"), of_model("H100-80", "1g.10gb"))
    )
    devices = [fleet.worker("1g.10gb").device for _ in range(2)]
    assert sorted(devices) == sorted(fleet.driver.instance_uuid(n, 0) for n in (1, 2))


def test_a_gpu_that_nobody_knows_costs_the_binding_to_cpus_only(
    tmp_path: Path, fleets: list[Fleet]
) -> None:
    """dask-cuda: ends in a TypeError."""
    fleets.append(fleet := Fleet(tmp_path, of_model("H100-80")))
    assert cpus_near(fleet.driver.gpu_uuid(1)) == (4, 5, 6, 7)
    assert cpus_near("GPU-gone") == ()


def test_the_pool_is_a_cap_within_the_slice(tmp_path: Path, fleets: list[Fleet]) -> None:
    """dask-cuda's device_memory_limit is a threshold: by itself it caps nothing."""
    fleets.append(fleet := Fleet(tmp_path, of_model("A100-40", "1g.5gb")))
    found = fleet.worker("1g.5gb")
    assert found.rmm_pool and found.rmm_maximum and found.device_memory_limit
    assert found.rmm_pool < found.device_memory_limit < found.rmm_maximum < 4864 << 20


def test_without_a_driver_a_simulated_worker_is_a_plain_one(tmp_path: Path) -> None:
    """dask-cuda: raises NVMLError_LibraryNotFound, and does not import without cuda-bindings."""
    program = f"""
import sys
from gpu_workbench import protocol as wire
from gpu_workbench.holders.dask_workers import nanny_options, this_machine
from gpu_workbench.holders.worker_specs import worker_spec
one = wire.Slice(id="1.0", gpu="GPU-0", kind="mig", profile="mig-1g.10gb", units=0.1429,
    memory_bytes=10 << 30, visible_device="", tier="simulated")
lease = wire.Lease(id=7, state="active", user="ada", mine=True, pool="default",
    profile=one.profile, slices=[one], units=0.14, purpose="cluster", name="", granted_at=0.0,
    ends_at=1.0)
asked = wire.ClusterSpec(id="c", name="c", threads_per_worker=1, host_memory_bytes=None,
    fleet_units=2.0, idle_seconds=None)
spec = worker_spec(asked, lease, one, this_machine(64 << 30, one))
assert spec.device_memory_limit is spec.rmm_pool is spec.rmm_maximum is None, spec
assert spec.cpus == () and spec.env["CUDA_VISIBLE_DEVICES"] == "" and spec.device == ""
assert "CUDF_SPILL" not in spec.env and spec.resources == {{"GPU": 1}}
from pathlib import Path
assert "data" not in nanny_options(spec, Path({str(tmp_path)!r}))
assert "dask_cuda" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)


# --- host memory --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "machine", "asked", "given"),
    [
        pytest.param("gpu", 512 * GIB, 4 * GIB, 4 * GIB, id="as it was asked for"),
        pytest.param("gpu", 512 * GIB, None, 109951162777, id="its share, less a fifth"),
        pytest.param("0.25", 32 * GIB, None, 2 * GIB, id="2 GB where its share would be too small"),
        pytest.param("0.25", 4 * GIB, None, GIB, id="on a tiny machine a quarter"),
    ],
)
def test_host_memory_of_a_worker(
    what: str, machine: int, asked: int | None, given: int, tmp_path: Path, fleets: list[Fleet]
) -> None:
    fleets.append(fleet := Fleet(tmp_path, of_model("H100-80")))
    fleet.asked = msgspec.structs.replace(fleet.asked, host_memory_bytes=asked)
    assert fleet.worker(what, machine).memory_limit == given


def test_a_spec_becomes_a_nannys_options(tmp_path: Path, fleets: list[Fleet]) -> None:
    fleets.append(fleet := Fleet(tmp_path, of_model("H100-80")))
    spec = fleet.worker("0.5")
    options = nanny_options(spec, tmp_path)
    assert options["nthreads"] == 2 and options["memory_limit"] == spec.memory_limit
    assert options["env"]["CUDA_VISIBLE_DEVICES"] == spec.device
    assert options["host"] == "127.0.0.1" and options["resources"] == {"GPU": 1}
