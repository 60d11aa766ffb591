"""UCX only where it is allowed, installed, and made for: whole, real GPUs. Anything else is TLS."""

from __future__ import annotations

import pytest

from gpu_workbench import protocol as wire
from gpu_workbench.holders.transport import choose


def one(kind: str, tier: str = "watchdog") -> wire.Slice:
    return wire.Slice(
        id="1.0",
        gpu="GPU-0",
        kind=kind,  # type: ignore[arg-type]
        profile=kind,
        memory_bytes=80 << 30,
        units=1.0,
        visible_device="GPU-0",
        tier=tier,  # type: ignore[arg-type]
    )


WHOLE, MIG, FRACTION = one("whole"), one("mig", "mig"), one("fraction")
SIMULATED = one("whole", "simulated")


@pytest.mark.parametrize(
    ("allowed", "slices", "installed", "protocol", "remark"),
    [
        (True, [WHOLE], True, "ucx", ""),
        (True, [WHOLE, WHOLE], True, "ucx", ""),
        (False, [WHOLE], True, "tls", ""),
        (True, [WHOLE], False, "tls", "distributed-ucxx is not installed"),
        (True, [MIG], True, "tls", "for whole GPUs"),
        (True, [FRACTION], True, "tls", "for whole GPUs"),
        (True, [WHOLE, FRACTION], True, "tls", "for whole GPUs"),
        (True, [SIMULATED], True, "tls", "for whole GPUs"),
        (True, [], True, "tls", "for whole GPUs"),
    ],
)
def test_what_is_chosen_and_what_is_said(
    allowed: bool, slices: list[wire.Slice], installed: bool, protocol: str, remark: str
) -> None:
    found = choose(allowed, slices, installed)
    assert found.protocol == protocol
    assert remark in found.remark and bool(remark) == bool(found.remark)
