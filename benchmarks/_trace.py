"""The openb trace (Alibaba cluster-trace-gpu-v2023) as hosts and shapes, and where it is found.

Origin: hkust-adsl/kubernetes-scheduler-simulator, Apache-2.0. It is not part of this repository.
"""

from __future__ import annotations

import csv
import json
import os
import random
import sys
from collections import Counter
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from gpu_workbench_server.domain.packing import Host, Shape

ROOT = Path(__file__).resolve().parents[1]
FULL = 1000  # the trace counts in thousandths of a GPU
WORKLOADS = ("default", "cpu100", "gpushare100", "gpuspec33", "multigpu50")
NODES = "openb_node_list_gpu_node.csv"
ORIGIN = """\
There are no traces in {}.
Get them from github.com/hkust-adsl/kubernetes-scheduler-simulator (Apache-2.0), data/csv/: the node
list {} and openb_pod_list_*.csv, put them into DIR/openb, and name DIR with --traces
or in GPU_WORKBENCH_TRACES. The published columns and the LP bound are DIR/openb/published.json."""


def default_traces() -> Path:
    return Path(os.environ.get("GPU_WORKBENCH_TRACES") or ROOT.parent / "shared/traces")


@dataclass(frozen=True)
class Trace:
    """Hosts by name (ties go to the first) and the tasks of one workload by name."""

    hosts: tuple[Host, ...]
    tasks: tuple[Shape, ...]

    @cached_property
    def total(self) -> int:
        return sum(sum(host.free) for host in self.hosts)

    @property
    def capacity(self) -> dict[str, int]:
        found: Counter[str] = Counter()
        for host in self.hosts:
            found[host.model] += sum(host.free)
        return dict(found)

    def arrivals(self, seed: int, load: float = 1.3) -> list[Shape]:
        """All tasks in random order, then uniform redraws until they ask for `load` of the GPUs."""
        rng = random.Random(seed)
        tasks = list(self.tasks)
        rng.shuffle(tasks)
        asked = sum(task.demand for task in tasks)
        while asked < load * self.total:
            task = rng.choice(self.tasks)
            tasks.append(task)
            asked += task.demand
        return tasks


def _rows(path: Path, key: str) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return sorted(csv.DictReader(file), key=lambda row: row[key])


@cache
def load(folder: Path, workload: str) -> Trace:
    """Reads `folder`/openb; ends the program with a sentence where it is not there."""
    openb = folder / "openb"
    if not (openb / NODES).exists():
        sys.exit(ORIGIN.format(openb, NODES))
    hosts = tuple(
        Host(row["model"], (FULL,) * int(row["gpu"]), int(row["cpu_milli"]), int(row["memory_mib"]))
        for row in _rows(openb / NODES, "sn")
    )
    tasks = tuple(
        Shape(
            int(row["num_gpu"]),
            int(row["gpu_milli"]),
            int(row["cpu_milli"]),
            int(row["memory_mib"]),
            tuple(sorted(filter(None, (row.get("gpu_spec") or "").split("|")))),
        )
        for row in _rows(openb / f"openb_pod_list_{workload}.csv", "name")
    )
    return Trace(hosts, tasks)


@cache
def published(folder: Path) -> dict[str, Any]:
    """Published means by workload, policy and arrived per cent; empty where the file is missing."""
    path = folder / "openb/published.json"
    return dict(json.loads(path.read_text())) if path.exists() else {}
