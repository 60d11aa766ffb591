"""How soon a dead rank is told of, and in what words: jobs beside bare torchrun and accelerate.

    dev.py bench diagnosis [--rounds 3] [--json FILE]

Two ranks train over gloo; rank 1 writes down the time and then raises, is killed, is stopped, or
exits. By turns under `torchrun`, `accelerate launch` and as a job of a server. Time is from what
the rank wrote to the end of the command, or until the REST API says `failed` with a cause (asked
ten times a second). torch waits 30 minutes for a stopped rank; here it is left after 30 seconds.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import psutil

from benchmarks._jobs import (
    OVER,
    beside_nothing,
    job_server,
    start,
    threads_of,
    until_over,
    view,
    wait_until_warm,
)
from tests.support.lab import LabServer, free_port
from tests.support.waiting import wait_for

SCRIPT = Path(__file__).with_name("_diagnosis_script.py")
BOUND = 30.0
HOWS = {
    "exception": "raises",
    "killed": "SIGKILL",
    "stopped": "SIGSTOP",
    "exit": "os._exit(3)",
}
KINDS = ("torchrun", "accelerate", "job")
GOAL = 10.0


def command(kind: str) -> list[str]:
    """The launcher's, for two ranks that meet on this machine and at a port of their own."""
    port = str(free_port())
    if kind == "torchrun":
        words = ["torch.distributed.run", "--nproc-per-node=2", "--master-addr=127.0.0.1"]
        return [sys.executable, "-m", *words, f"--master-port={port}"]
    # Its `--cpu` starts one process only, where there is no MPI; without GPUs this starts two.
    words = ["accelerate.commands.launch", "--multi_gpu", "--num_processes=2", "--num_machines=1"]
    words += ["--mixed_precision=no", "--dynamo_backend=no", "--main_process_ip=127.0.0.1"]
    return [sys.executable, "-m", *words, f"--main_process_port={port}"]


def bare(kind: str, place: Path, how: str) -> dict[str, Any]:
    """One run of a launcher: `seconds` is None where it still waits after `BOUND`."""
    line = [*command(kind), beside_nothing(SCRIPT, place), str(place), how]
    with (place / "said").open("wb") as said:
        process = subprocess.Popen(
            line,
            env=os.environ | threads_of(2),
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
        )
    try:
        died = when_died(place, lambda: process.poll() is None)
        process.wait(max(0.0, died + BOUND - time.time()))
        seconds: float | None = time.time() - died
    except subprocess.TimeoutExpired:
        seconds = None
    finally:
        end(process)
    says = summary((place / "said").read_text(errors="replace")) if seconds else "nothing"
    return {"seconds": seconds, "says": says}


def end(process: subprocess.Popen[bytes]) -> None:
    """What is left of it: the ranks have sessions of their own and would outlive the launcher."""
    if process.poll() is None:
        ranks = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        for rank in ranks:
            with contextlib.suppress(psutil.NoSuchProcess):
                rank.kill()
    process.wait()


def summary(said: str) -> str:
    """The root cause in a launcher's last words, without what is different each time."""
    _, found, root = said.rpartition("Root Cause")
    if not found:
        return "no summary"
    told = dict(re.findall(r"^ *(rank|exitcode|traceback) *: *(.*?) *$", root, re.MULTILINE))
    rank = told["rank"].split()[0]
    code = re.sub(r" *\(pid: \d+\) *", " ", told["exitcode"]).strip()
    why = re.sub(r" received by PID \d+| see: .*", "", told["traceback"])
    return f"rank {rank}, exitcode {code}: {why}"


def ours(lab: LabServer, place: Path, how: str) -> dict[str, Any]:
    """One job of this server."""
    job = start(lab, SCRIPT, place, place, how)
    died = when_died(place, lambda: view(lab, job)["state"] not in OVER)
    over = until_over(lab, job, BOUND, every=0.1)
    seconds = time.time() - died
    if over["state"] != "failed":
        raise SystemExit(f"{over['state']}: {over['message']}")
    return {"seconds": seconds, "says": over["cause"]["message"]}


def when_died(place: Path, lives: Callable[[], bool]) -> float:
    """Wait for the time that rank 1 writes down."""
    died = place / "died"
    wait_for(lambda: died.exists() or not lives(), 60, "rank 1 gets so far")
    if not died.exists():
        raise SystemExit("The run was over before rank 1 got so far.")
    return float(wait_for(died.read_text))


def measure(root: Path, rounds: int) -> list[dict[str, Any]]:
    """Each death under each launcher, by turns."""
    found = []
    with job_server(root / "server") as lab:
        ours(lab, root / "first", "exit")
        wait_until_warm(lab)
        for number in range(rounds):
            for how in HOWS:
                for kind in KINDS:
                    here = root / f"{how}-{kind}-{number}"
                    row = ours(lab, here, how) if kind == "job" else bare(kind, here, how)
                    found.append({"how": how, "kind": kind} | row)
                    print(f"{HOWS[how]:>12} {kind:>10}: {after(row)}, {row['says']}", flush=True)
    return found


def after(row: dict[str, Any]) -> str:
    return f"> {BOUND:g} s" if row["seconds"] is None else f"{row['seconds']:.2f} s"


def middle(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The row in the middle; one that was left waiting counts as the longest."""
    seconds = median(BOUND * 2 if one["seconds"] is None else one["seconds"] for one in rows)
    says = sorted({one["says"] for one in rows})
    return {"seconds": None if seconds > BOUND else seconds, "says": " / ".join(says)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        rows = measure(Path(place), asked.rounds)

    print(f"\nfrom death to diagnosis, medians of {asked.rounds}\n")
    print(f"| rank 1 | {' | '.join(KINDS)} |\n|{'---|' * (len(KINDS) + 1)}")
    said, missed = [], []
    for how, title in HOWS.items():
        middles = {
            kind: middle([one for one in rows if (one["how"], one["kind"]) == (how, kind)])
            for kind in KINDS
        }
        print(f"| {title} | {' | '.join(after(one) for one in middles.values())} |")
        said += [f"{title:>12} {kind:>10}: {one['says']}" for kind, one in middles.items()]
        job = middles["job"]
        if job["seconds"] is None or job["seconds"] > GOAL:
            missed.append(f"{title}: {after(job)} > {GOAL:g} s")
        if "rank 1" not in job["says"].lower():
            missed.append(f"{title}: the rank is not named")
    print("\nwhat is said:\n" + "\n".join(said))
    print("Goals: " + ("; ".join(missed) or "all met"))
    if asked.json:
        asked.json.write_text(json.dumps({"rounds": asked.rounds, "rows": rows}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
