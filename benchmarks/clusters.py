"""Dask clusters beside plain `LocalCluster` (BENCHMARKS §7).

    dev.py bench clusters [--workers 1,4,8] [--rounds 3] [--tasks 100000] [--json FILE]

In one run, by turns: a plain LocalCluster, our first cluster of a fresh server (nothing is warm),
and our next ones (forked from a warm parent). Each is started by a process of its own, as a
notebook would; Dask is imported in it before the clock runs. Ours go through the whole way: REST,
queue, lease, TLS. Throughput is that of tiny tasks, with TLS and without for the plain one; while
they run, an unrelated request (`GET /api/status`) is timed at the Jupyter server.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from tests.support.lab import LabServer

FLEET = """
[[gpu]]
model = "H100 80GB"
memory_gb = 80
count = 4
"""
GOALS = {"first": 1.1, "next": 0.5}
_PLAIN = ("kind", "workers")


def client(kind: str, workers: int, tasks: int, lab: LabServer | None = None) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks._cluster_client", kind, str(workers), str(tasks)]
    environment = None
    if lab is not None:
        (path,) = lab.runtime_dir.glob("gpu-workbench-*.json")
        environment = lab.env | {"GPU_WORKBENCH_CONNECTION": str(path)}
        command.append(str(lab.pid))
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=1800)
    if done.returncode:
        raise SystemExit(done.stderr)
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    told = " ".join(f"{name} {value:.2f}" for name, value in answer.items() if name not in _PLAIN)
    print(f"  {kind}, {workers} workers: {told}", file=sys.stderr, flush=True)
    return answer


class Pulse(threading.Thread):
    """Times an unrelated request over and over; `take` gives the seconds since the last `take`."""

    def __init__(self, lab: LabServer) -> None:
        super().__init__(daemon=True)
        self._lab, self.stop = lab, threading.Event()
        self._seen: list[float] = []

    def run(self) -> None:
        while not self.stop.wait(0.02):
            began = time.perf_counter()
            self._lab.jupyter("GET", "status")
            self._seen.append(time.perf_counter() - began)

    def take(self) -> list[float]:
        seen, self._seen = self._seen, []
        return seen


def p99(seconds: list[float]) -> float:
    return quantiles(seconds, n=100)[98] * 1000 if len(seconds) > 1 else float("nan")


def starts(root: Path, workers: list[int], rounds: int) -> list[dict[str, Any]]:
    """Rounds of plain, first and next, one after the other."""
    found = []
    for number in range(rounds):
        for count in workers:
            found.append(client("plain", count, 0) | {"what": "plain"})
            with server(root / f"starts-{number}-{count}") as lab:
                found.append(client("ours", count, 0, lab) | {"what": "first"})
                found.append(client("ours", count, 0, lab) | {"what": "next"})
    return found


def server(root: Path) -> LabServer:
    root.mkdir(parents=True)
    fleet = root / "fleet.toml"
    fleet.write_text(FLEET)
    return LabServer(root, workbench={"fleet_file": str(fleet), "lease_ttl": 90})


def work(root: Path, tasks: int, rounds: int) -> tuple[list[dict[str, Any]], dict[str, float]]:
    """Throughput by turns, and the server's p99 meanwhile and at rest."""
    found: list[dict[str, Any]] = []
    seen: dict[str, list[float]] = {"idle": [], "plain": [], "tls": [], "ours": []}
    with server(root / "work") as lab:
        client("ours", 1, 0, lab)
        pulse = Pulse(lab)
        pulse.start()
        for _ in range(rounds):
            pulse.take()
            time.sleep(10)
            seen["idle"] += pulse.take()
            for kind in ("plain", "tls", "ours"):
                found.append(client(kind, 2, tasks, lab if kind == "ours" else None))
                seen[kind] += pulse.take()
        pulse.stop.set()
        pulse.join()
    return found, {kind: p99(values) for kind, values in seen.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", default="1,4,8")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tasks", type=int, default=100_000)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    counts = [int(one) for one in asked.workers.split(",")]
    with tempfile.TemporaryDirectory() as place:
        begun = starts(Path(place), counts, asked.rounds)
        worked, answers = work(Path(place), asked.tasks, asked.rounds) if asked.tasks else ([], {})

    print("\nUntil all workers are ready, median (ratio to plain); CPU seconds; seconds to close")
    print(f"{'workers':>8} {'':8} {'seconds':>16} {'CPU seconds':>16} {'close':>8}")
    missed = []
    for count in counts:
        plain: dict[str, float] = {}
        for what in ("plain", "first", "next"):
            rows = [one for one in begun if (one["workers"], one["what"]) == (count, what)]
            now = {key: median(one[key] for one in rows) for key in ("ready", "cpu", "close")}
            plain = plain or now
            ratios = {key: now[key] / plain[key] for key in ("ready", "cpu")}
            cells = [f"{now[key]:.2f} ({ratios[key]:.2f})" for key in ("ready", "cpu")]
            print(f"{count:>8} {what:8} {cells[0]:>16} {cells[1]:>16} {now['close']:>8.2f}")
            for key, ratio in ratios.items():
                if ratio > GOALS.get(what, 9.9):
                    missed.append(f"{count} workers, {what}, {key}: {ratio:.2f} > {GOALS[what]}")
    if worked:
        print(f"\n{asked.tasks:,} tiny tasks on 2 workers; p99 of an unrelated request meanwhile")
        rates = {}
        for kind in ("plain", "tls", "ours"):
            rates[kind] = median(one["tasks_per_second"] for one in worked if one["kind"] == kind)
            ratio = rates[kind] / rates["plain"]
            print(f"{kind:>8} {rates[kind]:8.0f} tasks/s ({ratio:.2f})  p99 {answers[kind]:.1f} ms")
        print(f"{'idle':>8} {'':24} p99 {answers['idle']:.1f} ms")
        if rates["ours"] < 0.95 * rates["plain"]:
            missed.append(f"throughput {rates['ours'] / rates['plain']:.2f} < 0.95 of plain")
        if answers["ours"] > 1.1 * answers["idle"]:
            missed.append(f"p99 {answers['ours'] / answers['idle']:.2f} of idle > 1.1")
    print("\nGoals: " + ("; ".join(missed) or "all met"))
    if asked.json:
        asked.json.write_text(json.dumps({"starts": begun, "work": worked, "p99": answers}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
