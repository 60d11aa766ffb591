"""The cluster's own process, with no server at all: it lives by its directory."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from distributed import Client, Security

from gpu_workbench import protocol as wire
from gpu_workbench.holders import files
from gpu_workbench.holders.dask_workers import host_memory
from tests.support.waiting import wait_for

GB = 1 << 30


def slices(count: int) -> list[wire.Slice]:
    return [
        wire.Slice(
            id=f"1.{n}",
            gpu="GPU-0",
            kind="mig",
            profile="mig-1g.10gb",
            memory_bytes=10 * GB,
            units=0.14,
            visible_device="",
            tier="simulated",
        )
        for n in range(count)
    ]


def spec(count: int = 1, ends_in: float = 3600, **changes: Any) -> wire.ClusterSpec:
    now = time.time()
    lease = wire.Lease(
        id=1,
        state="active",
        user="ada",
        mine=True,
        pool="default",
        profile="mig-1g.10gb",
        slices=slices(count),
        units=0.14 * count,
        purpose="cluster",
        name="flights",
        granted_at=now,
        ends_at=now + ends_in,
    )
    known: dict[str, Any] = {
        "id": "cluster-1",
        "name": "flights",
        "lease": lease,
        "threads_per_worker": 1,
        "host_memory_bytes": None,
        "host_share": 0.1,
        "idle_seconds": None,
    }
    return wire.ClusterSpec(**(known | changes))


Start = Callable[[wire.ClusterSpec], "subprocess.Popen[bytes]"]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    made = tmp_path / "cluster-1"
    made.mkdir(mode=0o700)
    return made


@pytest.fixture
def start(directory: Path) -> Iterator[Start]:
    started: list[subprocess.Popen[bytes]] = []

    def start_one(what: wire.ClusterSpec) -> subprocess.Popen[bytes]:
        files.write_json(directory / files.SPEC, msgspec.to_builtins(what))
        argv = [sys.executable, "-m", "gpu_workbench.holders.dask_cluster", str(directory)]
        started.append(subprocess.Popen(argv, env=os.environ | {"CUDA_VISIBLE_DEVICES": ""}))
        return started[-1]

    yield start_one
    for one in started:
        one.kill()
        one.wait()


def status(directory: Path) -> wire.ClusterStatus | None:
    found = files.read_json(directory / files.STATUS)
    return None if found is None else msgspec.convert(found, wire.ClusterStatus)


def when(directory: Path, *states: str) -> wire.ClusterStatus:
    def there() -> wire.ClusterStatus | None:
        now = status(directory)
        return now if now and now.state in states else None

    found = wait_for(there, 40, f"the cluster is {states}")
    assert found is not None
    return found


@pytest.mark.timeout(120)
def test_it_runs_tells_that_it_lives_and_ends_in_order(directory: Path, start: Start) -> None:
    process = start(spec(2))
    first = when(directory, "running")
    assert [one.slice_id for one in first.workers] == ["1.0", "1.1"]
    assert first.scheduler_address and first.scheduler_address.startswith("tls://127.0.0.1:")
    wait_for(lambda: now.updated_at > first.updated_at if (now := status(directory)) else False, 10)
    process.terminate()
    assert process.wait(20) == 0
    last = status(directory)
    assert last and (last.state, last.message, last.workers) == ("ended", "stopped", [])


@pytest.mark.timeout(120)
def test_it_does_what_is_wanted_of_it(directory: Path, start: Start) -> None:
    process = start(spec(2))
    when(directory, "running")
    for wanted in (1, 99, 0):  # never more than it has slices, never none

        def as_wanted(count: int = max(1, min(wanted, 2))) -> bool:
            now = status(directory)
            return now is not None and [one.state for one in now.workers] == ["running"] * count

        want(directory, workers=wanted)
        wait_for(as_wanted, 20, f"{wanted} workers are wanted")
    want(directory, workers=2, stop=True)
    assert process.wait(20) == 0


def want(directory: Path, **target: Any) -> None:
    files.write_json(directory / files.TARGET, msgspec.to_builtins(wire.ClusterTarget(**target)))


@pytest.mark.timeout(120)
def test_it_ends_with_its_lease_also_where_no_server_is_left_to_say_so(
    directory: Path, start: Start
) -> None:
    process = start(spec(ends_in=-60))
    assert process.wait(40) == 0
    last = status(directory)
    assert last and (last.state, last.message) == ("ended", "its lease has ended")


@pytest.mark.timeout(120)
def test_an_extended_lease_keeps_it(directory: Path, start: Start) -> None:
    want(directory, workers=1, ends_at=time.time() + 3600)
    start(spec(ends_in=-60))
    found = when(directory, "running")
    assert found.security and found.scheduler_address
    make: Any = Security
    security = make(
        tls_ca_file=found.security["ca"],
        tls_client_cert=found.security["cert"],
        tls_client_key=found.security["key"],
    )
    with Client(found.scheduler_address, security=security) as client:
        assert client.submit(sum, [1, 2]).result() == 3


@pytest.mark.timeout(120)
def test_it_ends_when_its_directory_is_gone(directory: Path, start: Start) -> None:
    process = start(spec())
    when(directory, "running")
    shutil.rmtree(directory)
    assert process.wait(30) == 0


@pytest.mark.timeout(120)
def test_one_whose_spec_can_not_be_read_says_so(directory: Path, start: Start) -> None:
    process = start(spec(lease=None))
    assert process.wait(40) != 0
    last = status(directory)
    assert last and last.state == "failed" and "did not start" in last.message


@pytest.mark.parametrize(
    ("machine", "share", "workers", "asked", "given"),
    [
        pytest.param(512 * GB, 1 / 8, 8, 4 * GB, 4 * GB, id="as it was asked for"),
        pytest.param(512 * GB, 1 / 8, 8, None, 51, id="its share of a large machine"),
        pytest.param(32 * GB, 1 / 14, 2, None, 2, id="2 GB where its share would be too small"),
        pytest.param(2 * GB, 1 / 14, 2, None, 1, id="on a tiny machine what there is"),
        pytest.param(64 * GB, 1.0, 1, None, 51, id="never all of it"),
    ],
)
def test_host_memory_of_a_worker(
    machine: int, share: float, workers: int, asked: int | None, given: int
) -> None:
    found = host_memory(spec(workers, host_memory_bytes=asked, host_share=share), machine)
    assert found == given or found // GB == given
