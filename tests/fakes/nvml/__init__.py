"""A fake NVIDIA driver library in C: `install` compiles it and writes what it answers."""

from .build import Installed, install
from .driver import (
    GIB,
    FakeDriver,
    FakeGpu,
    FakeInstance,
    FakeProcess,
    ProcessType,
    h100_layout,
)

__all__ = [
    "GIB",
    "FakeDriver",
    "FakeGpu",
    "FakeInstance",
    "FakeProcess",
    "Installed",
    "ProcessType",
    "h100_layout",
    "install",
]
