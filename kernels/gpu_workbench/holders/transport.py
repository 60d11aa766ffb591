"""Over what a cluster's scheduler, workers and clients talk: TLS, or UCX where all is made for it.

Pure. UCX moves data between whole GPUs over NVLink and InfiniBand, and has a price: Dask's
`distributed-ucxx` knows neither encryption nor tokens and listens on every address of the machine,
whatever it is told. An open scheduler runs anybody's code, so an administrator has to allow it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal

from .. import protocol as wire

PACKAGE = "distributed_ucxx"


@dataclass(frozen=True, slots=True)
class Transport:
    protocol: Literal["tls", "ucx"]
    remark: str = ""
    """Why it is not UCX though that is allowed; for people."""


def choose(allowed: bool, slices: Sequence[wire.Slice], installed: bool) -> Transport:
    """For a cluster that begins on these slices; later ones are of the same profile.

    Not on MIG instances, which have no peer-to-peer, nor on fractions, where two workers would
    share a device that UCX takes for its own.
    """
    if not allowed:
        return Transport("tls")
    if not slices or any(one.kind != "whole" or one.tier == "simulated" for one in slices):
        return Transport("tls", "TLS instead of UCX, which is for whole GPUs")
    if not installed:
        return Transport("tls", "TLS instead of UCX: distributed-ucxx is not installed")
    return Transport("ucx")


def is_installed() -> bool:
    return find_spec(PACKAGE) is not None
