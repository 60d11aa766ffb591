"""A fake NVIDIA driver library in C: `install` compiles it and writes what it answers."""

from .build import Installed, install
from .driver import (
    A30,
    A100_80,
    GIB,
    H100_80,
    H200,
    FakeDriver,
    FakeGpu,
    FakeInstance,
    FakeProcess,
    ProcessType,
    h100_layout,
    profiles_of,
    seven_small,
)

__all__ = [
    "A30",
    "A100_80",
    "GIB",
    "H100_80",
    "H200",
    "FakeDriver",
    "FakeGpu",
    "FakeInstance",
    "FakeProcess",
    "Installed",
    "ProcessType",
    "h100_layout",
    "install",
    "profiles_of",
    "seven_small",
]
