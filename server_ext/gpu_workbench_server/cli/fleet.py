"""`gpu-workbench fleet`: which GPUs the server would see here, real or simulated."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

from ..domain.fleet import Gpu, Pool, offered_by
from ..domain.units import show_gb, show_units
from ..errors import NoDevices
from . import outside
from .command import Command, table


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--fleet",
        type=Path,
        metavar="FILE",
        help="a TOML file of simulated GPUs (GpuWorkbenchApp.fleet_file): check it and show it",
    )
    parser.add_argument(
        "--simulated", action="store_true", help="the simulated GPUs, whatever the driver shows"
    )
    parser.add_argument("--json", action="store_true", help="for programs")


def _run(arguments: argparse.Namespace, out: TextIO) -> int:
    why, gpus = _gpus(arguments.fleet, arguments.simulated)
    if arguments.json:
        print(json.dumps(_for_programs(why, gpus), indent=2), file=out)
        return 0
    print(why, file=out)
    print(file=out)
    print(table(_HEADS, [_row(gpu) for gpu in gpus], frozenset({"GPU memory"})), file=out)
    for pool in sorted({gpu.pool for gpu in gpus}):
        print(f"\nPool {pool} offers:", file=out)
        for one in offered_by(Pool(pool), gpus):
            memory, units = show_gb(one.memory_gb), show_units(one.parts)
            more = f"{units:>4} of a GPU, isolation: {one.tier}"
            print(f"  {one.label:10}  {memory:>8}  {more}", file=out)
    return 0


COMMAND = Command(
    "fleet",
    "Show which GPUs are seen here, or would be simulated.",
    _arguments,
    _run,
    "Profiles are those of the default settings.",
)

_HEADS = ("GPU", "model", "GPU memory", "pool", "cut into", "UUID")


def _gpus(fleet: Path | None, simulated: bool) -> tuple[str, Sequence[Gpu]]:
    """A sentence on what they are, and the GPUs."""
    if fleet is not None:
        return f"Simulated GPUs, as {fleet} says:", outside.simulated_gpus(fleet)
    if simulated:
        return "Simulated GPUs, the default fleet:", outside.simulated_gpus(None)
    try:
        return "GPUs of this machine, as the NVIDIA driver shows them:", outside.real_gpus()
    except NoDevices as error:
        sentence = f"{error.message} The server simulates the default fleet:"
        return sentence, outside.simulated_gpus(None)


def _row(gpu: Gpu) -> tuple[str, ...]:
    if gpu.mig:
        placed = sorted(gpu.instances, key=lambda one: one.start)
        cut = " + ".join(one.profile for one in placed) or "MIG is on, without instances"
    else:
        cut = "whole or fractions"
    health = "" if gpu.health == "ok" else f" ({gpu.health})"
    return (gpu.name + health, gpu.model, show_gb(gpu.memory_gb), gpu.pool, cut, gpu.uuid)


def _for_programs(why: str, gpus: Sequence[Gpu]) -> dict[str, Any]:
    return {
        "message": why,
        "simulated": all(gpu.simulated for gpu in gpus),
        "gpus": [asdict(gpu) for gpu in gpus],
    }
