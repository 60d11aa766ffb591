"""Ring allreduce against a parameter server, on the ranks that this machine has (issue 6).

    dev.py bench scaling [--ranks 1,2,4] [--megabits 400] [--megabytes 4] [--compute 0.4]
                         [--steps 12] [--json FILE]

Every run is a job of a server, through its queue and its lease. Each rank enters a network
namespace with a link of its own (needs root), so bytes are the kernel's count for that link, and a
link is what bounds a step: 2 CPUs have no network that training would feel. The GPU's part of a
step is a sleep. Both exchanges end with the same weights, which is checked.

The model, for a gradient of S bytes, n ranks, B bytes a second each way and no overlap:
- ring: every rank sends, and at the same time receives, 2(n−1)/n·S; that takes 2(n−1)/n·S/B,
  less than 2S/B however many ranks there are;
- parameter server on one of the ranks: it receives n−1 gradients, then sends n−1 weights, each
  (n−1)·S (n·S where it is a machine of its own); that takes 2(n−1)·S/B, and grows with n.
Efficiency is compute / (compute + exchange), and n times that is the speed-up.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks._jobs import job_server, start, succeeded
from benchmarks._links import LINK, links
from tests.support.lab import LabServer

SCRIPT = Path(__file__).with_name("_scaling_script.py")
HOWS = ("ring", "server")

PUBLISHED = """Published, beside (other machines, other sizes; not comparable digit by digit):
  Horovod, ring, 512 GPUs (128 servers of 4 P100, 25 Gbit/s RoCE): 90 % Inception V3 and ResNet-101,
    68 % VGG-16 (Sergeev and Del Balso, 2018). VGG-16's gradient is 528 MiB, ResNet-101's 170 MiB.
  Distributed TensorFlow, parameter servers, 128 GPUs: about 40 % (a conference report by Uber)."""


def exchange_seconds(how: str, ranks: int, size: int, rate: float) -> float:
    """The model: of `size` bytes over links of `rate` bytes a second."""
    times = 2 * (ranks - 1) / ranks if how == "ring" else 2 * (ranks - 1)
    return times * size / rate


def wire_bytes(how: str, ranks: int, size: int) -> float:
    """The model: what the busiest rank sends in a step."""
    return (2 * (ranks - 1) / ranks if how == "ring" else ranks - 1) * size


def run(lab: LabServer, place: Path, how: str, ranks: int, plan: dict[str, Any]) -> dict[str, Any]:
    """One job; what its busiest rank saw."""
    place.mkdir()
    files = {"meet": str(place / "meet"), "told": str(place / "told.json"), "link": LINK}
    (place / "plan.json").write_text(json.dumps(plan | files))
    plan_file, name = place / "plan.json", f"{how} on {ranks}"
    job = start(lab, SCRIPT, place, how, plan_file, ranks=ranks, name=name)
    succeeded(lab, job, 180, every=0.5)
    every = json.loads((place / "told.json").read_text())
    weights = {one["weight"] for one in every}
    if ranks > 1 and len(weights) != 1:
        raise SystemExit(f"{how} on {ranks}: ranks have different weights: {weights}")
    return {
        "how": how,
        "ranks": ranks,
        "step": max(one["step"] for one in every),
        "sent": max(one["wire"][0] for one in every),
        "received": max(one["wire"][1] for one in every),
        "weight": weights.pop(),
    }


def measure(root: Path, counts: list[int], plan: dict[str, Any], rate: int) -> list[dict[str, Any]]:
    with links(max(counts), rate) as spaces, job_server(root / "server") as lab:
        return [
            run(lab, root / f"{how}-{ranks}", how, ranks, plan | {"spaces": spaces[:ranks]})
            for ranks in counts
            for how in HOWS
        ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ranks", default="1,2,4")
    parser.add_argument("--megabits", type=int, default=400)
    parser.add_argument("--megabytes", type=float, default=4.0)
    parser.add_argument("--compute", type=float, default=0.4)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    counts = [int(one) for one in asked.ranks.split(",")]
    size = int(asked.megabytes * 1e6) // 4 * 4
    rate = asked.megabits * 1e6 / 8
    plan = {"bytes": size, "compute": asked.compute, "steps": asked.steps}
    with tempfile.TemporaryDirectory() as place:
        rows = measure(Path(place), counts, plan, asked.megabits)

    print(
        f"\n{size / 1e6:g} MB of gradient, {asked.compute:g} s of compute, links of "
        f"{asked.megabits} Mbit/s; the busiest rank's bytes a step; model in brackets"
    )
    heads = ("sent, MB", "received, MB", "step, s", "efficiency")
    print(f"{'ranks':>6} {'':8} " + " ".join(f"{head:>16}" for head in heads))
    weights: dict[int, set[float]] = {}
    for row in rows:
        how, ranks = row["how"], row["ranks"]
        weights.setdefault(ranks, set()).add(row["weight"])
        wire = wire_bytes(how, ranks, size) / 1e6
        step = asked.compute + exchange_seconds(how, ranks, size, rate)
        row["efficiency"] = asked.compute / row["step"]
        cells = [
            f"{row['sent'] / 1e6:.2f} ({wire:.2f})",
            f"{row['received'] / 1e6:.2f} ({wire:.2f})",
            f"{row['step']:.3f} ({step:.3f})",
            f"{row['efficiency']:.0%} ({asked.compute / step:.0%})",
        ]
        print(f"{ranks:>6} {how:8} " + " ".join(f"{cell:>16}" for cell in cells))
    same = all(max(one) - min(one) <= 1e-5 * abs(max(one)) for one in weights.values())
    print(f"weights by ring and by server: {'the same' if same else weights}")
    print(PUBLISHED)
    if asked.json:
        asked.json.write_text(json.dumps({**plan, "megabits": asked.megabits, "rows": rows}))
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
