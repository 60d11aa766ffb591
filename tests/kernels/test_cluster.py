"""`gw.cluster` with real Dask on a real server: start, use, scale, close, and what goes wrong."""

from __future__ import annotations

import ctypes
import importlib
import os
import signal
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from distributed import Client

import gpu_workbench as gw
from gpu_workbench import cluster_display
from gpu_workbench.errors import GpuWorkbenchError
from gpu_workbench.gpu_cluster import GpuCluster
from tests.support.lab import LabServer
from tests.support.waiting import wait_for


@pytest.fixture
def server(here: LabServer) -> Iterator[LabServer]:
    """The session's server as `gw` finds it; no cluster is left on it."""
    yield here
    for one in here.api("GET", "clusters")["clusters"]:
        here.api("DELETE", f"clusters/{one['id']}")
    here.give_everything_back()


def where(_: int) -> dict[str, Any]:
    """What a task sees of its worker's slice."""
    names = ("GPU_WORKBENCH_SLICES", "GPU_WORKBENCH_MEMORY_BYTES", "CUDA_VISIBLE_DEVICES")
    return {name: os.environ.get(name) for name in names} | {"pid": os.getpid()}


def hang() -> None:
    """As native code that never comes back: no thread of the worker can do anything."""
    ctypes.PyDLL(None).sleep(600)


def processes(cluster: GpuCluster, server: LabServer) -> list[psutil.Process]:
    """The cluster's own process and all that it started."""
    lease = server.api("GET", f"leases/{cluster.info.leases[0]}")
    root = psutil.Process(lease["holder"]["pid"])
    return [root, *root.children(recursive=True)]


def alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_each_worker_runs_on_a_slice_of_its_own_until_all_is_given_back(server: LabServer) -> None:
    with gw.cluster(workers=2, per_worker="1g.10gb", name="flights") as cluster:
        leases = [server.api("GET", f"leases/{number}") for number in cluster.info.leases]
        slices = {one["id"] for lease in leases for one in lease["slices"]}
        client = cluster.get_client()
        seen = client.gather(client.map(where, range(16), pure=False, resources={"GPU": 1}))
        assert {one["GPU_WORKBENCH_SLICES"] for one in seen} == slices
        assert {one["GPU_WORKBENCH_MEMORY_BYTES"] for one in seen} == {str(10 << 30)}
        assert {one["CUDA_VISIBLE_DEVICES"] for one in seen} == {""}
        by_pid = {one.pid: one.slice_id for one in cluster.workers.values()}
        assert all(by_pid[one["pid"]] == one["GPU_WORKBENCH_SLICES"] for one in seen)
        all_of_it = processes(cluster, server)
    assert cluster.state == "ended"
    assert server.leases() == []
    assert not [one for one in all_of_it if alive(one)]


def test_a_module_beside_the_notebook_and_a_file_are_found_by_workers(
    server: LabServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "beside_notebook.py").write_text("def read(p): return open(p).read()")
    (tmp_path / "data.txt").write_text("12 flights")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    read = importlib.import_module("beside_notebook").read
    with gw.cluster(workers=1, per_worker="1g.10gb") as cluster:
        assert cluster.get_client().submit(read, "data.txt").result() == "12 flights"


def test_nobody_else_can_reach_it(server: LabServer) -> None:
    with gw.cluster(workers=1, per_worker="1g.10gb") as cluster:
        listening = [
            one.laddr.ip
            for process in processes(cluster, server)
            for one in process.net_connections("inet")
            if one.status == psutil.CONN_LISTEN
        ]
        assert set(listening) == {"127.0.0.1"}
        assert cluster.scheduler_address.startswith("tls://127.0.0.1:")
        files = [Path(one) for one in (cluster.info.security or {}).values()]
        assert len(files) == 3
        for one in [*files, files[0].parent]:
            assert stat.S_IMODE(one.stat().st_mode) & 0o077 == 0, one
        with pytest.raises((OSError, ValueError, TypeError)):
            Client(cluster.scheduler_address.replace("tls", "tcp"), timeout=2)
    assert not [one for one in files if one.exists()], "its keys are gone with it"


def test_a_cell_that_is_run_again_takes_up_the_same_cluster(server: LabServer) -> None:
    first = gw.cluster(workers=1, per_worker="1g.10gb", name="flights")
    again = gw.cluster(workers=1, per_worker="1g.10gb", name="flights")
    by_name = gw.cluster(name="flights")
    assert first.id == again.id == by_name.id == gw.clusters()[0].id
    by_name.close()
    with pytest.raises(GpuWorkbenchError) as error:
        gw.cluster(name="flights")
    assert error.value.code == "not_found"


def test_scaling_down_keeps_results_and_gives_the_slice_to_who_waits(server: LabServer) -> None:
    with gw.cluster(workers=2, per_worker="1g.10gb") as cluster:
        client = cluster.get_client()
        kept = client.scatter(list(range(8)))
        request = server.api("POST", "requests", {"what": "1g.10gb"})
        assert request["state"] == "queued"
        cluster.scale(1)
        assert len(cluster.wait().workers) == 1
        assert client.gather(kept) == list(range(8)), "though nobody could compute them again"

        def granted() -> bool:
            now = server.api("GET", f"requests/{request['id']}")
            return bool(now["state"] == "granted")

        wait_for(granted, what="the slice goes to who waits")
        cluster.scale(2)
        wait_for(lambda: "waiting for lease 2 of 2: position 1" in cluster.info.message)
        server.api("DELETE", f"leases/{request['id']}")
        cluster.wait_for_workers(2)
        assert len(cluster.workers) == 2
        with pytest.raises(GpuWorkbenchError) as error:
            cluster.scale(50)
        assert error.value.code == "never_fits"


def test_a_killed_worker_is_replaced_on_its_slice(server: LabServer) -> None:
    with gw.cluster(workers=1, per_worker="1g.10gb") as cluster:
        (before,) = cluster.workers.values()
        assert before.pid is not None
        os.kill(before.pid, signal.SIGKILL)

        def back() -> bool:
            now = cluster.workers.values()
            return [one.state for one in now if one.pid != before.pid] == ["running"]

        wait_for(back, what="another worker is there")
        assert list(cluster.workers) == [before.slice_id] and cluster.state == "running"
        assert cluster.get_client().submit(sum, [1, 2]).result(timeout=60) == 3


def test_killing_it_leaves_no_worker_not_even_one_that_hangs(server: LabServer) -> None:
    cluster = gw.cluster(workers=2, per_worker="1g.10gb")
    client = cluster.get_client()
    hung = client.submit(hang)
    leases = cluster.info.leases
    wait_for(lambda: client.processing() and hung.status == "pending")
    all_of_it = processes(cluster, server)
    assert len(all_of_it) >= 4  # the scheduler, the workers and the server they are forked from
    all_of_it[0].kill()
    wait_for(lambda: cluster.state == "failed")
    assert cluster.info.message.startswith("Its process was killed or crashed.")
    wait_for(lambda: not [one for one in all_of_it if alive(one)], what="its workers are gone")
    for number in leases:
        wait_for(lambda n=number: server.api("GET", f"leases/{n}")["cleared"], what="free again")  # type: ignore[misc]
    client.close(timeout=1)


def test_nobody_uses_it_so_it_ends_and_says_so(server: LabServer) -> None:
    cluster = gw.cluster(workers=1, per_worker="1g.10gb", idle_minutes=3 / 60)
    wait_for(lambda: cluster.state == "ended", what="it has idled out")
    assert cluster.info.message == "ended after 3 s without a client or a task"
    wait_for(lambda: server.leases() == [])
    with pytest.raises(GpuWorkbenchError) as error:
        cluster.get_client()
    assert "without a client or a task" in error.value.message


def test_a_client_keeps_it_and_its_countdown_begins_when_that_leaves(server: LabServer) -> None:
    cluster = gw.cluster(workers=1, per_worker="1g.10gb", idle_minutes=0.1)
    client = cluster.get_client()
    time.sleep(8)  # more than its idle time, which is 6 s
    assert cluster.state == "running" and cluster.info.idle_at is None
    assert client.submit(sum, [1, 2]).result() == 3
    client.close()
    wait_for(lambda: cluster.info.idle_at is not None, what="it counts down")
    wait_for(lambda: cluster.state == "ended", what="nobody is left")


def test_a_task_that_runs_keeps_it(server: LabServer) -> None:
    with gw.cluster(workers=1, per_worker="1g.10gb", idle_minutes=0.1) as cluster:
        assert cluster.get_client().submit(time.sleep, 8).result() is None


def test_interrupting_the_wait_cancels_it(
    server: LabServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.api("POST", "requests", {"what": "1g.10gb", "count": 2})
    shown: list[str] = []

    def interrupt() -> None:
        wait_for(lambda: any("waiting" in one for one in seen()))
        os.kill(os.getpid(), signal.SIGINT)

    def seen() -> list[str]:
        shown.append(capsys.readouterr().out)
        return shown

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        gw.cluster(workers=2, per_worker="1g.10gb", name="late")
    thread.join()
    text = "".join(seen())
    assert "waiting" in text and "position 1" in text and "was cancelled" in text
    wait_for(lambda: server.api("GET", "requests")["requests"] == [])
    wait_for(lambda: gw.clusters()[0].state == "ended")


def test_what_can_not_be_had_is_said_at_once(server: LabServer) -> None:
    with pytest.raises(GpuWorkbenchError) as error:
        gw.cluster(workers=50, per_worker="1g.10gb")
    assert error.value.code == "never_fits" and error.value.hint
    with pytest.raises(GpuWorkbenchError) as error:
        gw.cluster(workers=-1)
    assert error.value.code == "bad_request"
    assert error.value.message == "workers must be between 0 and 512, and is -1."


def test_it_looks_like_something_in_text_and_in_html(server: LabServer) -> None:
    cluster = gw.cluster(workers=1, per_worker="1g.10gb", name="<b>bold</b>", wait=False)
    assert "<b>bold</b>" in repr(cluster) and "1g.10gb" in repr(cluster)
    assert "&lt;b&gt;bold" in cluster._repr_html_() and "<b>bold" not in cluster._repr_html_()
    cluster.wait()
    whole, line = (cluster_display.html(cluster.info, brief=brief) for brief in (False, True))
    assert "<table>" in whole and "<table>" not in line and "1 of 1 workers" in line
    widget = cluster._widget()
    wait_for(lambda: "cluster-repr" in cluster.periodic_callbacks, what="the widget looks")
    cluster.close()
    assert "ended" in repr(cluster)
    assert "ended" in widget.children[0].value, "the widget that is still to be seen says so, too"
