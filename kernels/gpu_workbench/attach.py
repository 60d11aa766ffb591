"""What makes a process run on its slice: environment variables and soft memory caps.

`slice_environment` is the one place that says how a slice looks from inside a process. Kernels
(`provisioner`), running notebooks (`request`), cluster workers and ranks all take theirs from here.
Pure, but for `apply_memory_caps` and `into_this_process`, which act on the process that calls them.
It knows nothing of servers: leases come in as wire types.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from types import ModuleType

from . import protocol as wire
from .importing import after_import

# Share of the GPU's memory, set only where the slice is a fraction of a real GPU: there, and only
# there, a framework would otherwise take what belongs to the neighbour.
SHARE_ENV = "GPU_WORKBENCH_MEMORY_SHARE"

# JAX allocates this part of a fraction at once; the rest is for CUDA contexts and libraries.
_XLA_PART = 0.9

# Everything that `slice_environment` may set. What it doesn't set must be unset, or a process that
# moves from one slice to another keeps half of the old one.
MANAGED = (
    wire.LEASE_ENV,
    wire.SLICES_ENV,
    wire.SIMULATED_ENV,
    wire.MEMORY_ENV,
    SHARE_ENV,
    "CUDA_VISIBLE_DEVICES",
    "CUDA_DEVICE_ORDER",
    "XLA_CLIENT_MEM_FRACTION",
    "TF_FORCE_GPU_ALLOW_GROWTH",
)


def slice_environment(
    lease: wire.Lease, slices: Sequence[wire.Slice] | None = None
) -> dict[str, str]:
    """The environment of a process that runs on `slices` of a lease (None: on all of them).

    Give a worker or rank its one slice: CUDA sees only the first of several MIG instances, and two
    fractions of one GPU are one device. The result holds strings only and nothing that was in the
    environment before; `MANAGED` names what else must be unset.

        subprocess.Popen(argv, env=os.environ | slice_environment(lease, [lease.slices[rank]]))
    """
    mine = list(lease.slices if slices is None else slices)
    if not mine:
        raise ValueError(f"lease {lease.id} has no slices")
    environment = {
        wire.LEASE_ENV: str(lease.id),
        wire.SLICES_ENV: ",".join(one.id for one in mine),
        wire.MEMORY_ENV: str(min(one.memory_bytes for one in mine)),
    }
    if all(one.tier == "simulated" for one in mine):
        return environment | {wire.SIMULATED_ENV: "1", "CUDA_VISIBLE_DEVICES": ""}
    environment["CUDA_VISIBLE_DEVICES"] = _visible(mine)
    environment["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"
    environment["TF_FORCE_GPU_ALLOW_GROWTH"] = "true"
    shares = [one.units for one in mine if one.kind == "fraction"]
    if shares:
        environment[SHARE_ENV] = f"{min(shares):.4g}"
        environment["XLA_CLIENT_MEM_FRACTION"] = f"{min(shares) * _XLA_PART:.3f}"
    return environment


def _visible(slices: Sequence[wire.Slice]) -> str:
    """What `CUDA_VISIBLE_DEVICES` must say: each device once; of MIG instances only the first."""
    for one in slices:
        if one.kind == "mig":
            return one.visible_device
    return ",".join(dict.fromkeys(one.visible_device for one in slices))


def into_this_process(environment: dict[str, str]) -> None:
    """Put a slice's environment into `os.environ`, and remove what an earlier slice left there."""
    for name in MANAGED:
        os.environ.pop(name, None)
    os.environ.update(environment)
    apply_memory_caps()


def cuda_in_use() -> str | None:
    """Which framework has CUDA initialised in this process, or None. Imports nothing."""
    torch = sys.modules.get("torch")
    if torch is not None and getattr(torch, "cuda", None) and torch.cuda.is_initialized():
        return "torch"
    for name in ("cudf", "cupy", "rmm", "numba.cuda.cudadrv.driver", "jax", "tensorflow"):
        if name in sys.modules:
            # These don't all tell; the driver library in our address space does.
            return name if _driver_loaded() else None
    return None


def _driver_loaded() -> bool:
    try:
        with open("/proc/self/maps") as maps:
            return any("libcuda.so" in line for line in maps)
    except OSError:
        return False


# --- soft caps --------------------------------------------------------------------------------


def apply_memory_caps() -> None:
    """Cap torch's and RMM's allocators at a fraction's memory: now, or when they are imported.

    Does nothing on whole GPUs and MIG instances (the device itself is the bound) nor on simulated
    slices. Such a cap binds the framework's own allocator only; that is why a fraction's isolation
    tier says `framework-cap`. Safe to call again, also for another slice.
    """
    if SHARE_ENV not in os.environ:
        return
    after_import(_CAPS)


def _cap_torch(torch: ModuleType) -> None:
    def cap() -> None:
        share = os.environ.get(SHARE_ENV)
        if share is not None:
            torch.cuda.set_per_process_memory_fraction(float(share))

    if torch.cuda.is_initialized():
        cap()
    else:
        # Importing torch must not start CUDA (it would forbid forking): wait for its first use.
        torch.cuda._lazy_call(cap)


def _cap_rmm(rmm: ModuleType) -> None:
    if SHARE_ENV not in os.environ:  # given back since
        return
    limit = int(os.environ[wire.MEMORY_ENV])
    upstream = rmm.mr.CudaMemoryResource()
    rmm.mr.set_current_device_resource(rmm.mr.LimitingResourceAdaptor(upstream, limit))


_CAPS: dict[str, Callable[[ModuleType], None]] = {"torch": _cap_torch, "rmm": _cap_rmm}
