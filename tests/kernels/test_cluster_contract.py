"""What anybody may expect of a distributed `Cluster`, held against `GpuCluster` on a real server.

Written by us after distributed's own description of a cluster object and its documented use of
one; each test is one expectation.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import pytest
from distributed import Client
from distributed.core import Status
from distributed.deploy.cluster import Cluster

import gpu_workbench as gw
from gpu_workbench.errors import GpuWorkbenchError
from gpu_workbench.gpu_cluster import GpuCluster
from tests.kernels.talk import run_in_kernel
from tests.support.lab import LabServer
from tests.support.waiting import wait_for


@pytest.fixture
def server(here: LabServer) -> Iterator[LabServer]:
    yield here
    for one in here.api("GET", "clusters")["clusters"]:
        here.api("DELETE", f"clusters/{one['id']}")
    here.give_everything_back()


@pytest.fixture
def cluster(server: LabServer) -> Iterator[GpuCluster]:
    made = gw.cluster(workers=2, per_worker="1g.10gb", name="flights")
    yield made
    made.close()


def inc(x: int) -> int:
    return x + 1


# --- sync ---------------------------------------------------------------------------------------


def test_it_is_one_of_distributeds_clusters(cluster: GpuCluster) -> None:
    assert isinstance(cluster, Cluster)
    assert cluster.status == Status.running and not cluster.asynchronous
    assert cluster.name == "flights"


def test_a_client_takes_the_object_and_needs_nothing_else(cluster: GpuCluster) -> None:
    with Client(cluster) as client:
        assert client.submit(inc, 1).result() == 2
        assert client.scheduler_info()["workers"].keys() == cluster.scheduler_info["workers"].keys()
    assert cluster.status == Status.running, "a client that leaves ends no cluster"


def test_get_client_gives_one_that_works(cluster: GpuCluster) -> None:
    assert cluster.get_client().submit(inc, 2).result() == 3


def test_scheduler_info_follows_what_there_is(cluster: GpuCluster) -> None:
    workers = cluster.scheduler_info["workers"]
    assert len(workers) == 2 and all(one["nthreads"] == 1 for one in workers.values())
    assert {one["resources"]["GPU"] for one in workers.values()} == {1}
    assert cluster.observed == cluster.plan == cluster.requested == set(cluster.workers)
    cluster.scale(1)
    wait_for(lambda: len(cluster.scheduler_info["workers"]) == 1)
    cluster.scale(2)
    wait_for(lambda: len(cluster.scheduler_info["workers"]) == 2)


def test_wait_for_workers_blocks_until_so_many_are_there(cluster: GpuCluster) -> None:
    cluster.wait_for_workers(2)
    cluster.scale(1)
    cluster.wait()
    with pytest.raises(TimeoutError):
        cluster.wait_for_workers(2, timeout=0.5)
    with pytest.raises(ValueError, match="positive"):
        cluster.wait_for_workers(0)


def test_scale_returns_at_once(cluster: GpuCluster, server: LabServer) -> None:
    assert cluster.scale(1) is None
    assert cluster.wait().info.workers_wanted == 1
    # Somebody takes what is left: who waited for two workers would never return.
    taken = server.api("POST", "requests", {"what": "1g.10gb"})["id"]
    wait_for(lambda: server.api("GET", f"requests/{taken}")["state"] == "granted")
    assert cluster.scale(2) is None
    assert (cluster.info.workers_wanted, len(cluster.workers)) == (2, 1)
    cluster.scale(1)
    cluster.wait()


def test_adapt_follows_the_work_and_stops_when_it_is_scaled(cluster: GpuCluster) -> None:
    adaptive = cluster.adapt(minimum=1, maximum=2)
    assert (adaptive.minimum, adaptive.maximum) == (1, 2)
    wait_for(lambda: len(cluster.workers) == 1, what="nothing to do: one is enough")
    client = cluster.get_client()
    futures = client.map(time.sleep, [30 + n / 100 for n in range(20)])
    wait_for(lambda: len(cluster.scheduler_info["workers"]) == 2, what="work: as many as it may")
    client.cancel(futures, force=True)
    cluster.scale(2)
    assert cluster.info.adapt is None and cluster._adaptive is None


def test_adapting_stops_and_leaves_what_there_is(cluster: GpuCluster) -> None:
    adaptive = cluster.adapt(minimum=2)
    assert (adaptive.minimum, adaptive.maximum) == (2, 2), "by default what it has"
    adaptive.stop()
    assert cluster.info.adapt is None and cluster.info.workers_wanted == 2


def test_logs_of_the_cluster_its_scheduler_and_each_worker(cluster: GpuCluster) -> None:
    logs = cluster.get_logs()
    assert {"Cluster", "Scheduler", *cluster.scheduler_info["workers"]} == set(logs)
    assert set(cluster.get_logs(cluster=False, scheduler=True, workers=False)) == {"Scheduler"}


def test_a_representation_for_every_place(cluster: GpuCluster) -> None:
    text = repr(cluster)
    assert "flights" in text and cluster.scheduler_address in text and "2 of 2 workers" in text
    assert "flights" in cluster._repr_html_()
    widget = cluster._widget()
    assert widget is cluster._widget(), "one, however often it is shown"
    assert "flights" in widget.children[0].value


def test_the_widget_scales(cluster: GpuCluster) -> None:
    from ipywidgets import Button, IntText

    def find(widget: Any, kind: type) -> list[Any]:
        below = [one for child in getattr(widget, "children", ()) for one in find(child, kind)]
        return [widget, *below] if isinstance(widget, kind) else below

    tab = cluster._widget()
    number = next(one for one in find(tab, IntText) if one.description == "Workers")
    button = next(one for one in find(tab, Button) if one.description == "Scale")
    number.value = 1
    button.click()
    wait_for(lambda: len(cluster.workers) == 1)


def test_restart_and_rename(cluster: GpuCluster) -> None:
    before = {one.pid for one in cluster.workers.values()}
    cluster.restart()

    def restarted() -> bool:
        now = [one for one in cluster.workers.values() if one.state == "running"]
        return len(now) == 2 and not before & {one.pid for one in now}

    wait_for(restarted, what="other processes")
    cluster.rename("trains")
    assert cluster.name == "trains" and gw.cluster(name="trains").id == cluster.id


def test_closing_twice_is_closing_once(server: LabServer) -> None:
    cluster = gw.cluster(workers=1, per_worker="1g.10gb")
    cluster.close()
    assert cluster.status == Status.closed and cluster.state == "ended"
    assert cluster.close() is None
    assert server.leases() == []
    with pytest.raises(RuntimeError):
        Client(cluster)


def test_a_context_closes_it_also_after_an_error(server: LabServer) -> None:
    with pytest.raises(ZeroDivisionError), gw.cluster(workers=1, per_worker="1g.10gb") as cluster:
        raise ZeroDivisionError
    assert cluster.state == "ended" and server.leases() == []


def test_disconnecting_and_forgetting_leave_it_running(cluster: GpuCluster) -> None:
    again = gw.cluster(name="flights")
    again.disconnect()
    assert again.status == Status.closed
    del again
    assert cluster.get_client().submit(inc, 1).result() == 2


def test_a_worker_that_leaves_with_its_lease_is_told_of_in_the_notebook(
    cluster: GpuCluster, server: LabServer, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.get_client()
    server.api("DELETE", f"leases/{cluster.info.leases[0]}")
    words = "cluster flights: A worker left: its slice was given back."
    wait_for(lambda: words in capsys.readouterr().out)


def test_it_begins_with_no_slice_and_takes_what_it_needs(server: LabServer) -> None:
    with gw.cluster(workers=0, per_worker="1g.10gb") as cluster:
        assert server.leases() == []
        cluster.adapt(minimum=0, maximum=1)
        assert cluster.get_client().submit(inc, 1).result(timeout=60) == 2


def test_what_ends_by_itself_is_said(
    cluster: GpuCluster, server: LabServer, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in cluster.info.leases:
        server.api("DELETE", f"leases/{number}")
    wait_for(lambda: "its slices were given back" in capsys.readouterr().out)


IN_A_SECOND_NOTEBOOK = """
import gpu_workbench as gw
from distributed import Client
from IPython.display import display
from IPython.utils.capture import capture_output
cluster = gw.cluster(name="flights")
with Client(cluster) as client:
    print("sum", client.submit(sum, range(10)).result())
with capture_output() as shown:
    display(cluster)
print(sorted(name for output in shown.outputs for name in output.data))
"""


def test_a_second_notebook_uses_it_and_sees_its_widget(
    cluster: GpuCluster, server: LabServer
) -> None:
    kernel = server.start_kernel("python3")
    told = run_in_kernel(server, kernel["id"], IN_A_SECOND_NOTEBOOK, 90)
    assert "sum 45" in told
    assert "application/vnd.jupyter.widget-view+json" in told and "text/html" in told
    server.jupyter("DELETE", f"kernels/{kernel['id']}")
    assert cluster.get_client().submit(inc, 1).result() == 2, "it outlives that kernel"


def test_a_client_that_shuts_down_ends_it(server: LabServer) -> None:
    cluster = gw.cluster(workers=1, per_worker="1g.10gb")
    cluster.get_client().shutdown()
    wait_for(lambda: cluster.state == "ended")
    wait_for(lambda: server.leases() == [], what="its slices are given back")


# --- async --------------------------------------------------------------------------------------


def test_async_with(server: LabServer) -> None:
    async def use() -> tuple[int, str]:
        async with gw.cluster(workers=1, per_worker="1g.10gb", asynchronous=True) as cluster:
            assert cluster.asynchronous and cluster.status == Status.running
            await cluster.wait_for_workers(1)
            async with Client(cluster, asynchronous=True) as client:
                result = await client.submit(inc, 1)
            async with cluster.get_client() as client:
                assert await client.submit(inc, 1) == 2
            assert {"Scheduler"} <= set(await cluster.get_logs())
        return result, cluster.state

    assert asyncio.run(use()) == (2, "ended")


def test_awaiting_scaling_and_closing_twice_in_a_loop(server: LabServer) -> None:
    async def use() -> None:
        cluster = await gw.cluster(workers=1, per_worker="1g.10gb", asynchronous=True)
        await cluster.scale(2)
        await cluster.wait_for_workers(2)
        await cluster.adapt(minimum=1, maximum=2)
        assert cluster.info.adapt is not None
        await cluster.close()
        await cluster.close()
        assert cluster.status == Status.closed

    asyncio.run(use())


def test_with_is_refused_where_it_is_asynchronous(server: LabServer) -> None:
    async def use() -> None:
        cluster = gw.cluster(workers=1, per_worker="1g.10gb", asynchronous=True)
        with pytest.raises(TypeError, match="async with"), cluster:
            pass
        await cluster.close()

    asyncio.run(use())


def test_awaiting_one_that_ends_instead_says_why(server: LabServer) -> None:
    async def use() -> None:
        server.api("POST", "requests", {"what": "1g.10gb", "count": 2})
        cluster = gw.cluster(workers=1, per_worker="1g.10gb", asynchronous=True)
        server.api("DELETE", f"clusters/{cluster.id}")
        with pytest.raises(GpuWorkbenchError) as error:
            await cluster
        assert error.value.code == "cluster_not_running" and "stopped" in error.value.message

    asyncio.run(use())
