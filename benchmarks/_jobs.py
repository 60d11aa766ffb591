"""Jobs that a benchmark runs: their server, what they lie beside, how they are started and awaited.

Knows nothing of what is measured.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import psutil

from tests.support.lab import LabServer
from tests.support.waiting import wait_for

FLEET = '[[gpu]]\nmodel = "H100 80GB"\nmemory_gb = 80\ncount = 2\n'
OVER = ("succeeded", "failed", "stopped", "lost")


def job_server(root: Path) -> LabServer:
    """Of two GPUs; it ticks as in use, not as fast as in tests."""
    root.mkdir(parents=True)
    fleet = root / "fleet.toml"
    fleet.write_text(FLEET)
    settings = {"fleet_file": str(fleet), "lease_ttl": 90, "tick_seconds": 1.0}
    return LabServer(root, workbench=settings)


def beside_nothing(script: Path, place: Path) -> str:
    """The script where no module of ours would stand in for the library's (`queue`)."""
    place.mkdir(exist_ok=True)
    return str(shutil.copy(script, place / "train.py"))


def start(
    lab: LabServer, script: Path, place: Path, *arguments: object, ranks: int = 2, name: str = ""
) -> str:
    """Ask for a job of the script; its id."""
    spec = {
        "ranks": ranks,
        "per_rank": "0.25",
        "script": beside_nothing(script, place),
        "args": [str(one) for one in arguments],
        "cwd": str(place),
        "name": name or None,
    }
    return str(lab.api("POST", "jobs", spec)["id"])


def view(lab: LabServer, job: str) -> dict[str, Any]:
    found: dict[str, Any] = lab.api("GET", f"jobs/{job}")
    return found


def until_over(lab: LabServer, job: str, seconds: float, every: float) -> dict[str, Any]:
    """How it is when it is over, with the cause where it failed."""
    found: dict[str, Any] = {}

    def is_over() -> bool:
        found.update(view(lab, job))
        return found["state"] in OVER

    wait_for(is_over, seconds, "it is over", every=every)
    return found


def succeeded(lab: LabServer, job: str, seconds: float, every: float) -> dict[str, Any]:
    """As `until_over`; a benchmark of a job that failed says nothing, and ends."""
    over = until_over(lab, job, seconds, every)
    if over["state"] != "succeeded":
        raise SystemExit(f"{over['message']}\n{over['cause']}")
    return over


def threads_of(ranks: int) -> dict[str, str]:
    """The variable that gives a bare launcher's rank as many threads as a job's rank gets."""
    return {"OMP_NUM_THREADS": str(max(1, min(8, (os.cpu_count() or 1) // ranks)))}


def wait_until_warm(lab: LabServer) -> None:
    """The server's warm process has imported torch (it has worked and is quiet then), so the next
    job forks from it, and nothing else uses the CPUs."""

    def is_warm() -> bool:
        children = psutil.Process(lab.pid).children()
        warm = [one for one in children if "gpu_workbench.holders.nursery" in one.cmdline()]
        return bool(warm) and warm[0].cpu_times().user > 1 and warm[0].cpu_percent(0.5) == 0

    wait_for(is_warm, 60, "torch is imported")
