"""Thirty clusters, each ended in another unkind way: no process of theirs lives, no slice is held.

Real Dask on a real server with simulated slices. What lives is counted with psutil, by the tags in
the processes' environment, and what is held by the broker. A way is run for several clusters, one
after the other or at once, as the machine allows.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support.lab import HttpError, LabServer
from tests.support.processes import started_by
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

TTL = 30
"""Seconds; a server that is killed must be back in less, on a busy machine too."""
EACH = 2
"""Clusters for each of the fifteen ways."""

Cluster = dict[str, Any]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabServer]:
    root = tmp_path_factory.mktemp("leaks")
    with LabServer(root, workbench={"lease_ttl": TTL, "grace_seconds": 3.0}) as server:
        yield server


def make(lab: LabServer, number: int, **more: Any) -> Cluster:
    body = {"workers": 1, "per_worker": "0.25", "idle_seconds": 600} | more
    made: Cluster = lab.api("POST", "clusters", body)
    return made


def when(lab: LabServer, cluster: Cluster, *states: str) -> Cluster:
    def there() -> Cluster | None:
        now: Cluster = lab.api("GET", f"clusters/{cluster['id']}")
        ready = now["state"] != "running" or any(one["pid"] for one in now["workers"])
        return now if now["state"] in states and ready else None

    found = wait_for(there, 60, f"{states}")
    assert found is not None
    return found


def running(lab: LabServer, **more: Any) -> list[Cluster]:
    made = [make(lab, number, **more) for number in range(EACH)]
    return [when(lab, one, "running") for one in made]


def holder(lab: LabServer, cluster: Cluster) -> psutil.Process:
    lease = lab.api("GET", f"leases/{cluster['leases'][0]}")
    return psutil.Process(lease["holder"]["pid"])


def settle(lab: LabServer, began: float, way: str) -> None:
    """Within the time-to-live (and a grace) all is gone; says how long it took."""

    def nothing() -> bool:
        status = lab.api("GET", "status")
        free = bool(status["units_free"] == status["units_total"])
        return free and not started_by(lab, "cluster")

    wait_for(nothing, 2 * TTL + 10, f"nothing left after: {way}", every=0.2)
    assert not [one for one in lab.leases() if one["purpose"] == "cluster"]
    print(f"{way}: {EACH} clusters, nothing left after {time.monotonic() - began:.1f} s")


# --- the ways -----------------------------------------------------------------------------------


def kernel_killed(lab: LabServer) -> None:
    """The notebook that made them dies, and its clients with it: they idle out."""
    program = (
        "import gpu_workbench as gw, os\n"
        f"made = [gw.cluster(1, '0.25', idle_minutes=0.1) for _ in range({EACH})]\n"
        "clients = [one.get_client(set_as_default=False) for one in made]\n"
        "print('there', flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    environment = lab.env | {"GPU_WORKBENCH_CONNECTION": str(connection(lab))}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "there" in done.stdout and done.returncode == -signal.SIGKILL, done.stderr


def connection(lab: LabServer) -> Path:
    (path,) = lab.runtime_dir.glob("gpu-workbench-*.json")
    return path


def browser_closed(lab: LabServer) -> None:
    """Nobody watches: they are there, and end when they idle."""
    running(lab, idle_seconds=4)


def server_killed_for_good(lab: LabServer) -> None:
    """With no server they end by themselves; the next one finds nothing."""
    running(lab)
    lab.kill9()
    late = "they have heard of no server for too long"
    wait_for(lambda: not started_by(lab, "cluster"), 2 * TTL + 20, late)
    lab.start()


def server_killed_and_back(lab: LabServer) -> None:
    """They live through it, and end when they are told to."""
    before = running(lab)
    lab.restart(kill=True)
    for one in before:
        assert when(lab, one, "running")["workers"][0]["pid"] == one["workers"][0]["pid"]
        lab.api("DELETE", f"clusters/{one['id']}")


def cluster_killed(lab: LabServer) -> None:
    for one in running(lab):
        holder(lab, one).kill()


def nanny_killed(lab: LabServer) -> None:
    """The workers and what they are forked from: whether they come back or not, they end."""
    for one in running(lab):
        for child in holder(lab, one).children(recursive=True):
            child.kill()
        lab.api("DELETE", f"clusters/{one['id']}")


def frozen(lab: LabServer) -> None:
    """It hears nothing any more: it is killed after its grace."""
    for one in running(lab):
        holder(lab, one).suspend()
        lab.api("DELETE", f"clusters/{one['id']}")


def lease_revoked(lab: LabServer) -> None:
    for one in running(lab):
        lab.api("DELETE", f"leases/{one['leases'][0]}")


def lease_expired(lab: LabServer) -> None:
    made = running(lab, seconds=60)
    assert len(made) == EACH
    wait_for(lambda: not lab.leases(), 90, "their time is up")


def disk_full(lab: LabServer) -> None:
    """Nothing can be written where they live: neither by them nor by the server."""
    made = running(lab)
    for one in made:
        place = next(lab.data_dir.rglob(one["id"]))
        with Full(place):
            lab.api("DELETE", f"clusters/{one['id']}")
            when(lab, one, "ended", "failed")


class Full:
    """A directory on a tiny disk that is full; where none can be mounted, one that is read-only."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __enter__(self) -> None:
        files = {one.name: one.read_bytes() for one in self.place.iterdir() if one.is_file()}
        command = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(self.place)]
        self.mounted = subprocess.run(command, capture_output=True).returncode == 0
        if not self.mounted:
            self.place.chmod(0o500)
            return
        for name, data in files.items():
            (self.place / name).write_bytes(data)
        with contextlib.suppress(OSError), (self.place / "full").open("wb") as file:
            while True:
                file.write(b"\0" * 65536)

    def __exit__(self, *_: object) -> None:
        if self.mounted:
            subprocess.run(["umount", "-l", str(self.place)], check=True)
        else:
            self.place.chmod(0o700)


def failing(lines: str) -> Callable[[LabServer], None]:
    """Their start fails at a stage: `lines` of a shell script that stands for the interpreter."""

    def way(lab: LabServer) -> None:
        python = lab.root / f"python-{abs(hash(lines))}"
        python.write_text(f"#!/bin/sh\n{lines}\n")
        python.chmod(0o755)
        made = [make(lab, number, python=str(python)) for number in range(EACH)]
        for one in made:
            assert when(lab, one, "failed")["message"]

    return way


def never_starting(lab: LabServer) -> None:
    python = lab.root / "python-sleeps"
    python.write_text("#!/bin/sh\nexec sleep 600\n")
    python.chmod(0o755)
    for number in range(EACH):
        one = when(lab, make(lab, number, python=str(python)), "starting")
        lab.api("DELETE", f"clusters/{one['id']}")


PYTHON = f'exec {sys.executable} "$@"'
WAYS: dict[str, Callable[[LabServer], None]] = {
    "kernel killed": kernel_killed,
    "browser closed": browser_closed,
    "server SIGKILLed, and none comes back in time": server_killed_for_good,
    "server SIGKILLed, and it comes back": server_killed_and_back,
    "cluster process SIGKILLed": cluster_killed,
    "nanny killed": nanny_killed,
    "cluster process frozen": frozen,
    "lease revoked": lease_revoked,
    "lease expired": lease_expired,
    "disk full": disk_full,
    "start fails: the interpreter ends at once": failing("exit 3"),
    "start fails: no such module": failing('exec python3 -S -E "$@"'),
    "start fails: no scheduler starts": failing(
        f"export DASK_DISTRIBUTED__SCHEDULER__PRELOAD=no_such_module\n{PYTHON}"
    ),
    "start fails: no worker starts": failing(
        f"export DASK_DISTRIBUTED__WORKER__PRELOAD=no_such_module\n{PYTHON}"
    ),
    "start hangs": never_starting,
}


@pytest.mark.parametrize("way", WAYS)
def test_nothing_is_left(lab: LabServer, way: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert len(WAYS) * EACH == 30
    try:
        WAYS[way](lab)
    finally:
        if lab.process is not None and lab.process.poll() is not None:
            lab.start()
    began = time.monotonic()
    with capsys.disabled():
        settle(lab, began, way)


def test_and_what_was_never_started_never_was(lab: LabServer) -> None:
    with pytest.raises(HttpError):
        make(lab, 0, python=os.devnull)
    assert not started_by(lab, "cluster")
