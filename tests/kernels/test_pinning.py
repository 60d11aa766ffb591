"""Slices → how ranks talk to each other; and a script that asks for what can't work there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gpu_workbench import protocol as wire
from gpu_workbench.holders.pinning import BACKEND_ENV, Pinning, Place, pin
from gpu_workbench.holders.rank import rank_environment
from tests.support.runs import Run

LO = {"GLOO_SOCKET_IFNAME": "lo", "NCCL_SOCKET_IFNAME": "lo"}
HERE = LO | {"NCCL_IB_DISABLE": "1"}
GLOO = HERE | {BACKEND_ENV: "gloo"}


def cut(kind: wire.SliceKind, gpu: str, **more: Any) -> wire.Slice:
    tier: wire.IsolationTier = "mig" if kind == "mig" else "framework-cap"
    facts: dict[str, Any] = {
        "id": f"{kind}-{gpu}",
        "gpu": gpu,
        "kind": kind,
        "profile": kind,
        "memory_bytes": 1 << 30,
        "units": 1.0,
        "visible_device": gpu,
        "tier": tier,
    }
    return wire.Slice(**facts | more)


WHOLE = [cut("whole", "GPU-0"), cut("whole", "GPU-1")]
SHARED = [cut("fraction", "GPU-0", units=0.5), cut("fraction", "GPU-0", units=0.5)]
SIMULATED = [cut("fraction", "GPU-0", tier="simulated", visible_device="")] * 2

TABLE: dict[str, tuple[list[wire.Slice], dict[str, Place], dict[str, str], Pinning]] = {
    "simulated slices": (SIMULATED, {}, {}, Pinning("gloo", "gloo: the slices are simulated", LO)),
    "one rank": (WHOLE[:1], {}, {}, Pinning("nccl", "one rank, nobody to talk to", HERE)),
    "one rank on a MIG instance": (
        [cut("mig", "GPU-0")],
        {},
        {},
        Pinning("nccl", "one rank, nobody to talk to", HERE),
    ),
    "one NVLink island, over two NUMA nodes": (
        WHOLE,
        {"GPU-0": Place(0, 0), "GPU-1": Place(1, 0)},
        {},
        Pinning("nccl", "NCCL over NVLink", HERE),
    ),
    "two islands on one NUMA node": (
        WHOLE,
        {"GPU-0": Place(0, 0), "GPU-1": Place(0, 1)},
        {},
        Pinning("nccl", "NCCL over PCIe, all on NUMA node 0", HERE),
    ),
    "no NVLink, two NUMA nodes": (
        WHOLE,
        {"GPU-0": Place(0), "GPU-1": Place(1)},
        {},
        Pinning("nccl", "NCCL over PCIe and host memory, between the NUMA nodes 0 and 1", HERE),
    ),
    "nothing known of where they are": (WHOLE, {}, {}, Pinning("nccl", "NCCL over PCIe", HERE)),
    "two instances of one GPU": (
        [cut("mig", "GPU-0"), cut("mig", "GPU-0")],
        {},
        {},
        Pinning(
            "gloo",
            "gloo instead of NCCL: MIG instances have no way to each other that NCCL could take",
            GLOO,
        ),
    ),
    "instances of two GPUs": (
        [cut("mig", "GPU-0"), cut("mig", "GPU-1")],
        {"GPU-0": Place(0, 0), "GPU-1": Place(0, 0)},
        {},
        Pinning(
            "gloo",
            "gloo instead of NCCL: MIG instances have no way to each other that NCCL could take",
            GLOO,
        ),
    ),
    "two fractions of one GPU": (
        SHARED,
        {},
        {},
        Pinning("gloo", "gloo instead of NCCL: 2 ranks share one GPU, which NCCL refuses", GLOO),
    ),
    "two fractions of one GPU and a job that says its NCCL can": (
        SHARED,
        {},
        {"NCCL_MULTI_RANK_GPU_ENABLE": "1"},
        Pinning(
            "nccl",
            "NCCL with several ranks on one GPU",
            HERE | {"NCCL_P2P_DISABLE": "1", "NCCL_NVLS_ENABLE": "0"},
        ),
    ),
    "fractions of two GPUs": (
        [cut("fraction", "GPU-0", units=0.5), cut("fraction", "GPU-1", units=0.5)],
        {"GPU-0": Place(0, 3), "GPU-1": Place(0, 3)},
        {},
        Pinning("nccl", "NCCL over NVLink", HERE),
    ),
}


@pytest.mark.parametrize("what", TABLE)
def test_ranks_are_connected_by_what_works_on_their_slices(what: str) -> None:
    slices, places, environment, wanted = TABLE[what]
    assert pin(slices, places, environment) == wanted


def lease(slices: list[wire.Slice]) -> wire.Lease:
    return wire.Lease(
        id=3,
        state="active",
        user="ana",
        mine=True,
        pool="local",
        profile=slices[0].profile,
        slices=slices,
        units=1.0,
        purpose="job",
        name="train",
        granted_at=0.0,
        ends_at=1.0,
    )


@pytest.mark.parametrize(
    "slices", [WHOLE, SHARED, [cut("mig", "GPU-0", visible_device="MIG-a")] * 2, SIMULATED]
)
@pytest.mark.parametrize("rank", [0, 1])
def test_a_rank_sees_its_own_slice_and_nothing_else(slices: list[wire.Slice], rank: int) -> None:
    base = {"CUDA_VISIBLE_DEVICES": "0,1,2", "PET_NNODES": "1", "LOCAL_RANK": str(rank), "A": "b"}
    seen = rank_environment(base, lease(slices), rank)
    assert seen["CUDA_VISIBLE_DEVICES"] == slices[rank].visible_device
    assert seen["GPU_WORKBENCH_SLICES"] == slices[rank].id
    assert "PET_NNODES" not in seen and seen["A"] == "b"
    real = slices[rank].tier != "simulated"
    assert seen["LOCAL_RANK"] == ("0" if real else str(rank)), "its one device is number 0"
    shares = slices[rank].kind == "fraction" and real
    assert ("GPU_WORKBENCH_MEMORY_SHARE" in seen) is shares


@pytest.mark.parametrize("warm", [True, False])
def test_a_script_for_nccl_runs_by_gloo_where_nccl_can_not(tmp_path: Path, warm: bool) -> None:
    pytest.importorskip("torch")
    script = (
        "import torch, torch.distributed as dist\n"
        "dist.init_process_group(backend='nccl')\n"
        "total = torch.ones(1)\ndist.all_reduce(total)\n"
        "print(dist.get_backend(), int(total))\n"
    )
    run = Run(tmp_path / "job")
    try:
        run.start(2, script=script, warm=warm, env={BACKEND_ENV: "gloo"})
        assert run.ended()["state"] == "succeeded", (run.rank(0) / "err.log").read_text()
        for rank in (0, 1):
            assert (run.rank(rank) / "out.log").read_text() == "gloo 2\n"
            said = (run.rank(rank) / "err.log").read_text()
            assert "gpu-workbench: gloo instead of NCCL" in said
    finally:
        run.close()
