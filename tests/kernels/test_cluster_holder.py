"""The cluster's own process, with no server at all: it lives by its directory."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest
from distributed import Client, Security

from gpu_workbench import protocol as wire
from gpu_workbench.holders import files
from gpu_workbench_server.engines.local import LocalEngine
from gpu_workbench_server.ports import ProcessSpec
from gpu_workbench_server.procscan import EnvironScanner
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


def leases(count: int, ends_in: float = 3600) -> list[wire.Lease]:
    """One for each slice, as a cluster has them."""
    now = time.time()
    return [
        wire.Lease(
            id=n + 1,
            state="active",
            user="ada",
            mine=True,
            pool="default",
            profile="mig-1g.10gb",
            slices=[one],
            units=0.14,
            purpose="cluster",
            name="flights",
            granted_at=now,
            ends_at=now + ends_in,
        )
        for n, one in enumerate(slices(count))
    ]


def spec(**changes: Any) -> wire.ClusterSpec:
    known: dict[str, Any] = {
        "id": "cluster-1",
        "name": "flights",
        "threads_per_worker": 1,
        "host_memory_bytes": None,
        "fleet_units": 2.0,
        "idle_seconds": None,
    }
    return wire.ClusterSpec(**(known | changes))


Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    made = tmp_path / "cluster-1"
    made.mkdir(mode=0o700)
    return made


@pytest.fixture
def start(directory: Path) -> Iterator[Start]:
    started: list[subprocess.Popen[bytes]] = []

    def start_one(
        what: wire.ClusterSpec | dict[str, Any], held: list[wire.Lease] | None = None
    ) -> subprocess.Popen[bytes]:
        files.write_json(directory / files.SPEC, msgspec.to_builtins(what))
        want(directory, leases=leases(1) if held is None else held)
        argv = [sys.executable, "-m", "gpu_workbench.holders.dask_cluster", str(directory)]
        environment = os.environ | {"CUDA_VISIBLE_DEVICES": "", wire.KEY_ENV: "cluster-1"}
        started.append(subprocess.Popen(argv, env=environment))
        return started[-1]

    yield start_one
    for one in started:
        one.kill()
        one.wait()


def want(directory: Path, **target: Any) -> None:
    files.write_json(directory / files.TARGET, msgspec.to_builtins(wire.ClusterTarget(**target)))


def status(directory: Path) -> wire.ClusterStatus | None:
    found = files.read_json(directory / files.STATUS)
    return None if found is None else msgspec.convert(found, wire.ClusterStatus)


def when(directory: Path, *states: str) -> wire.ClusterStatus:
    def there() -> wire.ClusterStatus | None:
        now = status(directory)
        return now if now and now.state in states else None

    found = wait_for(there, what=f"the cluster is {states}")
    assert found is not None
    return found


def workers(directory: Path, *slice_ids: str) -> list[wire.WorkerView]:
    """Once these and no others have a worker that runs."""

    def there() -> wire.ClusterStatus | None:
        now = status(directory)
        as_wanted = [(one.slice_id, one.state) for one in now.workers] if now else None
        return now if as_wanted == [(name, "running") for name in slice_ids] else None

    found = wait_for(there, what=f"workers on {slice_ids}")
    assert found is not None
    return found.workers


def client(found: wire.ClusterStatus) -> Client:
    assert found.security and found.scheduler_address
    make: Any = Security
    security = make(
        tls_ca_file=found.security["ca"],
        tls_client_cert=found.security["cert"],
        tls_client_key=found.security["key"],
    )
    return Client(found.scheduler_address, security=security)


def test_it_runs_tells_that_it_lives_and_ends_in_order(directory: Path, start: Start) -> None:
    process = start(spec(idle_seconds=600), leases(2))
    first = when(directory, "running")
    assert [one.slice_id for one in first.workers] == ["1.0", "1.1"]
    assert first.scheduler_address and first.scheduler_address.startswith("tls://127.0.0.1:")

    def again() -> wire.ClusterStatus | None:
        now = status(directory)
        return now if now and now.updated_at > first.updated_at and now.idle_at else None

    later = wait_for(again)
    assert later is not None and later.idle_at is not None
    assert 500 < later.idle_at - time.time() <= 600
    assert later.workers[0].host_bytes and later.workers[0].slice_bytes == 10 * GB
    process.terminate()
    assert process.wait(60) == 0
    last = status(directory)
    assert last and (last.state, last.message, last.workers) == ("ended", "stopped", [])


def test_its_workers_are_on_the_slices_that_it_is_given_and_on_no_others(
    directory: Path, start: Start
) -> None:
    one, two, three = leases(3)
    process = start(spec(), [one])
    (before,) = workers(directory, "1.0")
    want(directory, leases=[one, two, three])
    workers(directory, "1.0", "1.1", "1.2")
    want(directory, leases=[one, three])
    after = workers(directory, "1.0", "1.2")
    assert after[0].pid == before.pid, "who stays is not disturbed"
    want(directory, leases=[])
    workers(directory)
    assert process.poll() is None, "it may live without a slice"
    want(directory, leases=[two])
    workers(directory, "1.1")
    want(directory, leases=[two], stop=True)
    assert process.wait(60) == 0


def test_a_worker_that_leaves_hands_over_what_nobody_could_compute_again(
    directory: Path, start: Start
) -> None:
    one, two = leases(2)
    start(spec(), [one, two])
    first, second = workers(directory, "1.0", "1.1")
    with client(when(directory, "running")) as dask:
        (address,) = [
            at for at, w in dask.scheduler_info()["workers"].items() if w["name"] == "1.1"
        ]
        kept = dask.scatter(list(range(20)), workers=[address])

        def lying() -> list[int | None]:
            now = status(directory)
            return [] if now is None else [worker.results for worker in now.workers]

        wait_for(lambda: lying() == [0, 20], what="what lies on each is told")
        want(directory, leases=[one])
        workers(directory, "1.0")
        assert dask.gather(kept) == list(range(20))
    wait_for(lambda: not psutil.pid_exists(second.pid or 0), what="its process is gone")
    assert psutil.pid_exists(first.pid or 0)


def test_each_worker_is_found_by_the_lease_that_it_is_on(directory: Path, start: Start) -> None:
    """Although they are forked from one process, and could show its environment only."""
    process = start(spec(), leases(2))
    found = EnvironScanner()
    for number, worker in enumerate(workers(directory, "1.0", "1.1")):
        tagged = found.tags(worker.pid or 0)
        assert tagged is not None
        assert (tagged.lease_id, tagged.slices) == (number + 1, (worker.slice_id,))
        assert tagged.key == "cluster-1"
        started_with = psutil.Process(worker.pid or 0).environ()
        assert started_with["MALLOC_TRIM_THRESHOLD_"] == "65536", "it gives memory back"
    assert process.pid not in {*found.pids_of(1), *found.pids_of(2)}


def test_workers_are_restarted_once_when_that_is_wanted(directory: Path, start: Start) -> None:
    held = leases(1)
    start(spec(), held)
    (before,) = workers(directory, "1.0")
    want(directory, leases=held, restarts=1)
    wait_for(lambda: (now := status(directory)) and now.workers[0].pid not in (None, before.pid))
    (after,) = workers(directory, "1.0")
    assert after.pid != before.pid


def test_it_says_how_many_workers_would_be_useful(directory: Path, start: Start) -> None:
    held = leases(1)
    adapt = wire.Adapt(minimum=1, maximum=3)
    start(spec(), held)
    with client(when(directory, "running")) as dask:
        want(directory, leases=held, adapt=adapt)
        wait_for(lambda: (now := status(directory)) and now.desired == 1)
        futures = dask.map(time.sleep, [60.0 + n / 100 for n in range(40)])
        wait_for(lambda: (now := status(directory)) and now.desired == 3, what="more at once")
        held = leases(3)
        want(directory, leases=held, adapt=adapt)
        workers(directory, "1.0", "1.1", "1.2")
        dask.cancel(futures, force=True)
        dask.restart()
        wait_for(lambda: (now := status(directory)) and now.desired == 1, what="fewer later")


def test_it_ends_with_its_lease_also_where_no_server_is_left_to_say_so(
    directory: Path, start: Start
) -> None:
    process = start(spec(), leases(1, ends_in=-60))
    assert process.wait(60) == 0
    last = status(directory)
    assert last and (last.state, last.message) == ("ended", "its lease has ended")


def test_a_worker_leaves_before_its_lease_ends_where_others_stay(
    directory: Path, start: Start
) -> None:
    one, two = leases(2)
    start(spec(), [one, two])
    workers(directory, "1.0", "1.1")
    (short,) = leases(1, ends_in=12)
    want(directory, leases=[short, two])
    workers(directory, "1.1")


def test_it_ends_when_its_server_is_not_heard_of_any_more(directory: Path, start: Start) -> None:
    process = start(spec(silence_seconds=6))
    alive_until = time.monotonic() + 9

    def touched() -> bool:
        os.utime(directory / files.TARGET)
        now = status(directory)
        return bool(now and now.state == "running" and time.monotonic() > alive_until)

    wait_for(touched, 40, "it runs, longer than it would without a sign of life", every=0.5)
    assert process.poll() is None
    assert process.wait(60) == 0
    last = status(directory)
    assert last and (last.state, last.message) == ("ended", "its server is gone")


def test_where_ucx_is_allowed_and_makes_no_sense_it_says_that_it_uses_tls(
    directory: Path, start: Start
) -> None:
    start(spec(ucx=True))
    found = when(directory, "running")
    assert found.message == "TLS instead of UCX, which is for whole GPUs"
    assert (found.scheduler_address or "").startswith("tls://") and found.security


def test_its_pages_are_for_this_user_only(directory: Path, start: Start) -> None:
    process = start(spec())
    path = Path(when(directory, "running").dashboard_socket or "")
    assert stat.S_ISSOCK(path.stat().st_mode) and stat.S_IMODE(path.stat().st_mode) == 0o600
    assert b" 302 " in _asked(path, "/individual-plots.json"), "made when first looked at"
    assert b"individual-task-stream" in _asked(path, "/individual-plots.json")
    assert b" 200 " in _asked(path, "/status")
    answers = []
    for family in (psutil.Process(process.pid), *psutil.Process(process.pid).children(True)):
        for one in family.net_connections("tcp"):
            if one.status == psutil.CONN_LISTEN:
                assert one.laddr.ip == "127.0.0.1"
                answers.append(_speaks_http(one.laddr.port))
    assert b"200" not in answers
    process.terminate()
    process.wait(60)
    assert not path.exists()


def _asked(path: Path, what: str) -> bytes:
    """The whole answer of the pages' socket."""
    with socket.socket(socket.AF_UNIX) as pages:
        pages.connect(str(path))
        pages.sendall(f"GET {what} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
        return b"".join(iter(lambda: pages.recv(65536), b""))


def _speaks_http(port: int) -> bytes:
    """The status that `/status` has there; nothing where it isn't HTTP."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as plain:
        plain.sendall(b"GET /status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        with contextlib.suppress(OSError):
            answer = plain.recv(100)
            return answer.split(b" ")[1] if answer.startswith(b"HTTP") else b""
    return b""


def test_it_ends_when_its_directory_is_gone(directory: Path, start: Start) -> None:
    process = start(spec())
    when(directory, "running")
    shutil.rmtree(directory)
    assert process.wait(60) == 0


def test_one_whose_spec_can_not_be_read_says_so(directory: Path, start: Start) -> None:
    process = start({"id": "cluster-1"})
    assert process.wait(60) != 0
    last = status(directory)
    assert last and last.state == "failed" and "did not start" in last.message


def test_one_that_is_forked_from_a_warm_parent_is_as_one_that_was_started(
    directory: Path, tmp_path: Path, short_path: Path
) -> None:
    files.write_json(directory / files.SPEC, msgspec.to_builtins(spec()))
    want(directory, leases=leases(1))
    broker = str(tmp_path)
    argv = (sys.executable, "-m", "gpu_workbench.holders.dask_cluster", str(directory))
    environment = os.environ | {wire.LEASE_ENV: "0", wire.BROKER_ENV: broker}
    environment["TMPDIR"] = str(short_path)
    engine = LocalEngine(tmp_path / "engine", broker)
    asked = ProcessSpec("cluster-1", argv, environment, directory, tmp_path, warm="cluster")
    ref = engine.submit(asked)
    try:
        (worker,) = workers(directory, "1.0")
        assert os.getsid(ref.pid) == ref.pid and psutil.Process(ref.pid).cwd() == str(tmp_path)
        assert engine.submit(asked) == ref, "the same key finds it"
        engine.close()
        again = LocalEngine(tmp_path / "engine", broker)
        assert again.find("cluster-1") == ref and again.state(ref) == "running"
        assert again.lease_pids(1) == [worker.pid]
        started_with = psutil.Process(worker.pid or 0).environ()
        assert started_with["MALLOC_TRIM_THRESHOLD_"] == "65536", "it gives memory back"
        assert {ref.pid, worker.pid} <= set(again.kill_key("cluster-1"))
    finally:
        engine.kill_key("cluster-1")
        engine.close()
    assert EnvironScanner(broker).scan() == []
    assert not list(short_path.glob("pymp-*")), "killed, it leaves no sockets behind"
