"""Jobs beside bare `torchrun` (BENCHMARKS §7).

    dev.py bench launch [--ranks 2] [--rounds 5] [--steps 1200] [--json FILE]

In one run, by turns: `torchrun` of an unchanged script; the same script as the first job of a fresh
server (nothing is warm); and as the next job (its ranks are forked from a process that has torch).
Ours go the whole way: a POST to the server, its queue, a lease, the supervisor. Time is from just
before the command, or the POST, to the end of rank 0's first step. Then each makes STEPS more, of
2 MB of gradient over gloo and little else, for the rate; the weights at the end are compared.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks._jobs import (
    beside_nothing,
    job_server,
    start,
    succeeded,
    threads_of,
    wait_until_warm,
)
from tests.support.lab import LabServer

SCRIPT = Path(__file__).with_name("_launch_script.py")
GOALS = {"cold": 1.15, "warm": 0.15}
RATE = 0.98
KINDS = ("torchrun", "cold", "warm")


def bare(place: Path, ranks: int, steps: int) -> dict[str, Any]:
    """One run of torchrun, with as many threads a rank as a job's ranks get."""
    script = beside_nothing(SCRIPT, place)
    command = [str(Path(sys.executable).with_name("torchrun")), f"--nproc-per-node={ranks}"]
    began = time.time()
    subprocess.run(
        [*command, script, str(place), str(steps)],
        env=os.environ | threads_of(ranks),
        check=True,
        capture_output=True,
    )
    return told(place, began, time.time())


def ours(lab: LabServer, place: Path, ranks: int, steps: int) -> dict[str, Any]:
    """One job of this server."""
    began = time.time()
    job = start(lab, SCRIPT, place, place, steps, ranks=ranks)
    # A server that is asked all the time would take its share of the CPUs.
    over = succeeded(lab, job, 120, every=1.0)
    return told(place, began, over["ended_at"])


def told(place: Path, began: float, ended: float) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((place / "told.json").read_text())
    return found | {
        "first": float((place / "first").read_text()) - began,
        "all": ended - began,
    }


def measure(root: Path, ranks: int, rounds: int, steps: int) -> list[dict[str, Any]]:
    """Rounds of torchrun, cold and warm, one after the other."""
    found = []
    for number in range(rounds):
        found.append(bare(root / f"torchrun-{number}", ranks, steps) | {"kind": "torchrun"})
        with job_server(root / f"server-{number}") as lab:
            found.append(ours(lab, root / f"cold-{number}", ranks, steps) | {"kind": "cold"})
            wait_until_warm(lab)
            found.append(ours(lab, root / f"warm-{number}", ranks, steps) | {"kind": "warm"})
        say(found[-3:])
    return found


def say(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        print(
            f"{row['kind']:>9}: first step after {row['first']:6.2f} s, {row['rate']:7.1f} steps/s,"
            f" over after {row['all']:6.2f} s, weights {row['weights'][:12]}",
            flush=True,
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        rows = measure(Path(place), asked.ranks, asked.rounds, asked.steps)

    print(f"\n{asked.ranks} ranks, medians of {asked.rounds} (ratio to torchrun of the same round)")
    missed = []
    kinds = {kind: [one for one in rows if one["kind"] == kind] for kind in KINDS}
    for kind, mine in kinds.items():
        ratios = {
            key: median(
                one[key] / base[key] for one, base in zip(mine, kinds["torchrun"], strict=True)
            )
            for key in ("first", "rate", "all")
        }
        cells = [f"{median(one[key] for one in mine):.2f} ({ratios[key]:.3f})" for key in ratios]
        print(f"{kind:>9}  first step {cells[0]} s   {cells[1]} steps/s   over {cells[2]} s")
        if kind in GOALS and ratios["first"] > GOALS[kind]:
            missed.append(f"{kind}: first step {ratios['first']:.3f} > {GOALS[kind]}")
        if ratios["rate"] < RATE:
            missed.append(f"{kind}: steps/s {ratios['rate']:.3f} < {RATE}")
    weights = {one["weights"] for one in rows}
    print(f"weights of all runs: {'the same to the last digit' if len(weights) == 1 else weights}")
    if len(weights) > 1:
        missed.append("the weights differ")
    print("Goals: " + ("; ".join(missed) or "all met"))
    if asked.json:
        asked.json.write_text(json.dumps({"ranks": asked.ranks, "rows": rows}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
