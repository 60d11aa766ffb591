"""What a tick weighs in each way to write it, and what it costs to make: why ticks are bytes.

    dev.py bench encodings [--gpus 8,1000]

Every GPU is busy and changes all the time, with two slices on each. `delta` is what changed since
the tick before, as JSON columns. Deflate is per message, without a context: with one, each watcher
would need a compressor, and an encoding, of its own.
"""

from __future__ import annotations

import argparse
import random
import zlib
from collections.abc import Callable
from time import thread_time
from typing import Any

import msgspec

from gpu_workbench import protocol as wire
from gpu_workbench.protocol.ticks import FLEET_GPU, FLEET_SLICE, Encoder


def sample(gpus: int, time: float) -> wire.Sample:
    chance = random.Random(time)
    names = [f"GPU-{number:08x}-1234-5678-9abc-def012345678" for number in range(gpus)]
    return wire.Sample(
        time=time,
        simulated=True,
        gpus=[
            wire.GpuSample(
                uuid=name,
                activity=round(chance.random(), 3),
                memory_bytes=chance.randrange(80 << 30),
                power_watts=round(chance.uniform(70, 700), 1),
                temperature_c=float(chance.randrange(30, 90)),
                sm_activity=round(chance.random(), 3),
            )
            for name in names
        ],
        slices=[
            wire.SliceSample(
                slice_id=f"{100 + number}.{part}",
                lease_id=100 + number,
                activity=round(chance.random(), 3),
                memory_bytes=chance.randrange(40 << 30),
                gpu=names[number],
            )
            for number in range(gpus)
            for part in range(2)
        ],
    )


def columns(one: wire.Sample) -> dict[str, list[Any]]:
    rows = {"gpu": (FLEET_GPU, one.gpus), "slice": (FLEET_SLICE, one.slices)}
    return {
        f"{kind}.{column.name}": [getattr(row, column.name) for row in these]
        for kind, (known, these) in rows.items()
        for column in known
    }


def delta(one: wire.Sample, before: wire.Sample) -> dict[str, Any]:
    old = columns(before)
    return {
        name: {row: v for row, v in enumerate(values) if v != old[name][row]}
        for name, values in columns(one).items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gpus", default="8,1000")
    encode, encoder = msgspec.json.encode, Encoder()
    print(f"{'GPUs':>5}  {'':28}{'bytes':>9}{'a GPU':>8}{'ms':>8}{'deflated':>10}{'ms more':>9}")
    for many in (int(one) for one in parser.parse_args().gpus.split(",")):
        now, before = sample(many, 2.0), sample(many, 1.5)
        ways: dict[str, Callable[[], bytes]] = {
            "JSON, all metrics by row": lambda now=now: encode(now),
            "JSON, columns": lambda now=now: encode(columns(now)),
            "JSON, delta of columns": lambda now=now, was=before: encode(delta(now, was)),
            "binary columns (ours)": lambda now=now: encoder.encode(now).frame,
        }
        for name, way in ways.items():
            made, took = timed(way)
            small, more = timed(lambda made=made: zlib.compress(made, 1))
            print(
                f"{many:5}  {name:28}{len(made):9}{len(made) / many:8.1f}{took:8.3f}"
                f"{len(small):10}{more:9.3f}"
            )


def timed(way: Callable[[], bytes]) -> tuple[bytes, float]:
    """What it makes, and the CPU milliseconds of one: the best of five rounds."""
    rounds = []
    for _ in range(5):
        began = thread_time()
        for _ in range(5):
            made = way()
        rounds.append((thread_time() - began) / 5 * 1000)
    return made, min(rounds)


if __name__ == "__main__":
    main()
