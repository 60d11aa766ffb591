"""A job lives through all that happens around it: no step is lost, logs and metrics are whole.

A real Jupyter server with a kernel and a window on it, and a job of two ranks. One after the other,
each in the middle of the run: the window is closed, the kernel killed, the server killed, the
broker stopped and started anew.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

from tests.kernels.talk import run_in_kernel
from tests.support.lab import API, LabServer
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]
pytest.importorskip("torch")

RANKS, STEPS = 2, 700
SCRIPT = f"""
import time, torch, torch.distributed as dist
import gpu_workbench as gw
dist.init_process_group("gloo")
for step in range({STEPS}):
    total = torch.ones(1)
    dist.all_reduce(total)
    gw.log(step, total=total)
    print("step", step, flush=True)
    time.sleep(0.1)
"""
LAUNCH = """
import os
import gpu_workbench as gw
job = gw.launch("steps.py", ranks=2)
print(job.id, os.getpid())
"""


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[LabServer]:
    with LabServer(tmp_path, workbench={"lease_ttl": 30}) as server:
        yield server


def job_of(lab: LabServer, job_id: str) -> dict[str, Any]:
    found: dict[str, Any] = lab.api("GET", f"jobs/{job_id}")
    return found


def past(lab: LabServer, job_id: str, step: int) -> dict[str, Any]:
    """The job, once all its ranks are past a step."""

    def there() -> dict[str, Any] | None:
        now = job_of(lab, job_id)
        assert now["state"] in ("waiting", "starting", "running"), now
        return now if all((one["step"] or 0) >= step for one in now["ranks"]) else None

    return wait_for(there, 90, f"step {step}")  # type: ignore[return-value]


def went_on(lab: LabServer, job_id: str, before: dict[str, Any]) -> dict[str, Any]:
    """It made steps since, in the same processes."""
    now = past(lab, job_id, before["step"] + 20)
    assert [one["pid"] for one in now["ranks"]] == [one["pid"] for one in before["ranks"]]
    return now


def look_once(lab: LabServer) -> None:
    """Open a window as a browser does, hear something, and close it."""

    async def look() -> None:
        request = HTTPRequest(
            f"ws://127.0.0.1:{lab.port}/{API}/live", headers={"Authorization": f"token {lab.token}"}
        )
        window = await websocket_connect(request)
        assert await window.read_message()
        window.close()

    asyncio.run(look())


def all_points(lab: LabServer, job_id: str) -> Counter[tuple[int, int]]:
    found: Counter[tuple[int, int]] = Counter()
    offset = 0
    while True:
        chunk = lab.api("GET", f"jobs/{job_id}/metrics?offset={offset}")
        found.update((one["rank"], one["step"]) for one in chunk["points"])
        if chunk["next_offset"] == offset:
            return found
        offset = chunk["next_offset"]


def whole_log(lab: LabServer, job_id: str, rank: int) -> str:
    pieces, offset = [], 0
    while True:
        chunk = lab.api("GET", f"jobs/{job_id}/logs?rank={rank}&stream=out&offset={offset}")
        pieces.append(chunk["text"])
        if chunk["next_offset"] <= offset:
            return "".join(pieces)
        offset = chunk["next_offset"]


def test_it_outlives_kernel_window_server_and_broker_and_loses_no_step(
    lab: LabServer, capsys: pytest.CaptureFixture[str]
) -> None:
    (lab.notebooks / "steps.py").write_text(SCRIPT)
    kernel = lab.start_kernel("python3", path="work.ipynb")
    job_id, pid = run_in_kernel(lab, kernel["id"], LAUNCH).split()
    events = []

    now = past(lab, job_id, 10)
    look_once(lab)
    now = went_on(lab, job_id, now)
    events.append(f"window closed before step {now['step']}")

    os.kill(int(pid), signal.SIGKILL)
    wait_for(lambda: not psutil.pid_exists(int(pid)), 20, "the kernel is gone")
    now = went_on(lab, job_id, now)
    events.append(f"kernel killed before step {now['step']}")

    lab.restart(kill=True)
    now = went_on(lab, job_id, now)
    events.append(f"server killed before step {now['step']}")

    lab.restart()
    now = went_on(lab, job_id, now)
    events.append(f"broker stopped and started before step {now['step']}")
    assert now["step"] < STEPS - 1, "all of it was in the middle of the run"

    def over() -> dict[str, Any] | None:
        found = job_of(lab, job_id)
        return found if found["state"] not in ("running", "starting") else None

    done = wait_for(over, 150, "its end")
    assert done is not None and done["state"] == "succeeded", done
    expected = {(rank, step): 1 for rank in range(RANKS) for step in range(STEPS)}
    assert dict(all_points(lab, job_id)) == expected, "each step's metric once"
    for rank in range(RANKS):
        lines = whole_log(lab, job_id, rank).splitlines()
        assert lines == [f"step {step}" for step in range(STEPS)], f"the log of rank {rank}"
    usage = lab.api("GET", "usage")["rows"]
    assert [one["end_reason"] for one in usage if one["purpose"] == "job"] == ["released"]
    with capsys.disabled():
        print(
            f"\n{STEPS} steps on {RANKS} ranks, each once in logs and metrics:", *events, sep="\n  "
        )
