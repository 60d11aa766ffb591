"""slices → how the ranks of a job talk to each other: backend, NCCL's settings, a word for people.

Pure: no torch, no NVML, no look at this machine. NCCL finds NVLink and PCIe by itself, and better
than any list; what it is told here is what it can't know: that all ranks are on this machine, that
two of them share a GPU, that an instance of a GPU has no way to its neighbours. Where it does not
work, gloo does, over the host.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from .. import protocol as wire

BACKEND_ENV = "GPU_WORKBENCH_BACKEND"
"""In a rank whose slice NCCL can't use: what takes its place."""
SHARED_ENV = "NCCL_MULTI_RANK_GPU_ENABLE"
"""A job that sets it to 1 has an NCCL (2.30 and later) that knows shared GPUs, and keeps it."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a GPU sits; None is unknown, or no NVLink."""

    numa: int | None = None
    island: int | None = None


@dataclass(frozen=True, slots=True)
class Pinning:
    """For all ranks of a job alike."""

    backend: Literal["nccl", "gloo"]
    note: str
    """What connects them, or why it is not NCCL."""
    environment: dict[str, str] = field(default_factory=dict)
    """Under what the job itself sets."""


def pin(
    slices: Sequence[wire.Slice],
    places: Mapping[str, Place],
    environment: Mapping[str, str],
    loopback: str = "lo",
) -> Pinning:
    """How ranks on these slices, one each, are connected. `places` are those of their GPUs, by
    UUID; `environment` is the job's own."""
    here = dict.fromkeys(("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"), loopback)
    if all(one.tier == "simulated" for one in slices):
        return Pinning("gloo", "gloo: the slices are simulated", here)
    here["NCCL_IB_DISABLE"] = "1"  # all are on this machine
    if len(slices) == 1:
        return Pinning("nccl", "one rank, nobody to talk to", here)
    gpus = [one.gpu for one in slices]
    instances = sum(one.kind == "mig" for one in slices)
    shared = sorted({gpu for gpu in gpus if gpus.count(gpu) > 1})
    if instances:
        why = "MIG instances have no way to each other that NCCL could take"
    elif shared:
        if environment.get(SHARED_ENV) == "1":
            own_way = {"NCCL_P2P_DISABLE": "1", "NCCL_NVLS_ENABLE": "0"}
            return Pinning("nccl", "NCCL with several ranks on one GPU", here | own_way)
        most = max(gpus.count(gpu) for gpu in shared)
        why = f"{most} ranks share one GPU, which NCCL refuses"
    else:
        return Pinning("nccl", f"NCCL {_way([places.get(gpu, Place()) for gpu in gpus])}", here)
    return Pinning("gloo", f"gloo instead of NCCL: {why}", here | {BACKEND_ENV: "gloo"})


def _way(places: Sequence[Place]) -> str:
    islands, nodes = {one.island for one in places}, {one.numa for one in places}
    if len(islands) == 1 and None not in islands:
        return "over NVLink"
    if None in nodes:
        return "over PCIe"
    if len(nodes) == 1:
        return f"over PCIe, all on NUMA node {min(one for one in nodes if one is not None)}"
    told = " and ".join(str(one) for one in sorted(one for one in nodes if one is not None))
    return f"over PCIe and host memory, between the NUMA nodes {told}"
