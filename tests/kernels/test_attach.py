"""A slice's environment: one device, its memory, and nothing left of the slice before."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gpu_workbench import protocol as wire
from gpu_workbench.attach import MANAGED, SHARE_ENV, apply_memory_caps, slice_environment

GIB = 1 << 30


def slice_(number: int = 0, **changes: Any) -> wire.Slice:
    values: dict[str, Any] = {
        "id": f"7.{number}",
        "gpu": "GPU-a",
        "kind": "mig",
        "profile": "mig-1g.10gb",
        "memory_bytes": 10 * GIB,
        "units": 1 / 7,
        "visible_device": f"MIG-{number}",
        "tier": "mig",
    }
    return wire.Slice(**(values | changes))


def lease(*slices: wire.Slice) -> wire.Lease:
    return wire.Lease(
        id=7,
        state="active",
        user="ada",
        mine=True,
        pool="default",
        profile=slices[0].profile if slices else "whole",
        slices=list(slices),
        units=1.0,
        purpose="kernel",
        name="",
        granted_at=0.0,
        ends_at=1.0,
    )


def test_a_simulated_slice_shows_cuda_no_device() -> None:
    seen = slice_environment(lease(slice_(tier="simulated", visible_device="")))
    assert seen == {
        "GPU_WORKBENCH_LEASE": "7",
        "GPU_WORKBENCH_SLICES": "7.0",
        "GPU_WORKBENCH_MEMORY_BYTES": str(10 * GIB),
        "GPU_WORKBENCH_SIMULATED": "1",
        "CUDA_VISIBLE_DEVICES": "",
    }


def test_a_mig_slice_shows_its_one_instance_and_needs_no_cap() -> None:
    seen = slice_environment(lease(slice_(0), slice_(1)))
    assert seen["CUDA_VISIBLE_DEVICES"] == "MIG-0"
    assert seen["GPU_WORKBENCH_SLICES"] == "7.0,7.1"
    assert SHARE_ENV not in seen
    assert "XLA_CLIENT_MEM_FRACTION" not in seen
    assert "GPU_WORKBENCH_SIMULATED" not in seen


def test_a_rank_gets_only_the_slice_it_is_given() -> None:
    both = lease(slice_(0), slice_(1))
    seen = slice_environment(both, [both.slices[1]])
    assert seen["CUDA_VISIBLE_DEVICES"] == "MIG-1"
    assert seen["GPU_WORKBENCH_SLICES"] == "7.1"


def test_whole_gpus_are_all_visible_and_two_fractions_of_one_are_one_device() -> None:
    whole = {"kind": "whole", "profile": "whole", "units": 1.0, "tier": "watchdog"}
    part = {"kind": "fraction", "profile": "fraction-0.25", "units": 0.25, "tier": "framework-cap"}
    two = lease(slice_(visible_device="GPU-a", **whole), slice_(1, visible_device="GPU-b", **whole))
    same = lease(slice_(visible_device="GPU-a", **part), slice_(1, visible_device="GPU-a", **part))
    assert slice_environment(two)["CUDA_VISIBLE_DEVICES"] == "GPU-a,GPU-b"
    seen = slice_environment(same)
    assert seen["CUDA_VISIBLE_DEVICES"] == "GPU-a"
    assert seen[SHARE_ENV] == "0.25"
    assert float(seen["XLA_CLIENT_MEM_FRACTION"]) < 0.25


def test_nothing_is_set_that_would_not_be_unset_again() -> None:
    part = slice_(kind="fraction", units=0.5, tier="framework-cap")
    simulated = slice_(tier="simulated", visible_device="")
    for one in (part, simulated):
        assert slice_environment(lease(one)).keys() <= set(MANAGED)


def test_a_lease_without_slices_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="lease 7 has no slices"):
        slice_environment(lease())


# A framework of the same shape as torch: what counts is when the cap is applied, and to what.
FRAMEWORK = """
class cuda:
    calls, started = [], False
    is_initialized = classmethod(lambda cls: cls.started)
    set_per_process_memory_fraction = classmethod(lambda cls, share: cls.calls.append(share))
    @classmethod
    def _lazy_call(cls, what):
        cls.waiting = what
"""
PROGRAM = """
import os, sys
from gpu_workbench.attach import apply_memory_caps
before = "torch" in sys.modules
apply_memory_caps(); apply_memory_caps()
import torch
print(before, torch.cuda.calls)
torch.cuda.waiting()
print(torch.cuda.calls, torch.__spec__.name)
"""


def test_a_fraction_caps_torch_when_cuda_starts_not_when_torch_is_imported(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text(FRAMEWORK)
    kernels = str(Path(wire.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={
            "PYTHONPATH": f"{tmp_path}:{kernels}",
            SHARE_ENV: "0.25",
            wire.MEMORY_ENV: str(20 * GIB),
        },
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == ["False []", "[0.25] torch"]


def test_without_a_fraction_nothing_is_hooked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SHARE_ENV, raising=False)
    before = list(sys.meta_path)
    apply_memory_caps()
    assert sys.meta_path == before
