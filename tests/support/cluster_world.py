"""A broker, a store and an engine with a clusters' service on them, to be killed at will.

The cluster's process is a small stand-in that keeps the files' contract without Dask, so that
hundreds of starts cost seconds.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gpu_workbench import protocol as wire
from gpu_workbench.protocol import BROKER_ENV
from gpu_workbench_server.devices.simulated import SimulatedBackend
from gpu_workbench_server.engines.local import LocalEngine
from gpu_workbench_server.ports import News, Principal
from gpu_workbench_server.procscan import EnvironScanner
from gpu_workbench_server.services.broker import Broker
from gpu_workbench_server.services.clusters import Clusters
from gpu_workbench_server.services.policy import Policy
from gpu_workbench_server.services.size_hints import Past
from gpu_workbench_server.store.memory import MemoryStore
from tests.support.clock import AheadClock
from tests.support.waiting import wait_for

ADA = Principal("ada")

STAND_IN = f"""#!{sys.executable} -S
import json, os, sys, time
directory, mode = sys.argv[3], os.environ.get("STAND_IN", "")
if mode == "broken":
    sys.exit("No module named gpu_workbench")
if mode == "stubborn":
    import signal
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
def target():
    with open(directory + "/target.json") as file:
        return json.load(file)
def tell(state, message=""):
    names = [one["id"] for lease in target()["leases"] for one in lease["slices"]]
    status = dict(state=state, message=message, updated_at=time.time(), workers=[
        dict(name=name, slice_id=name, pid=os.getpid(), state="running") for name in names])
    try:
        with open(directory + "/desired") as file:
            status["desired"] = int(file.read() or 0)
    except OSError:
        pass
    with open(directory + "/half", "w") as file:
        json.dump(status, file)
    os.replace(directory + "/half", directory + "/status.json")
    return names, status.get("desired")
told = tell("running")
while mode == "stubborn" or not target().get("stop"):
    names = [one["id"] for lease in target()["leases"] for one in lease["slices"]]
    if mode != "silent" or names != told[0]:
        told = tell("running")
    time.sleep(0.01)
tell("ended", "stopped")
"""


class Ear:
    """An `EventSink` that remembers."""

    def __init__(self) -> None:
        self.heard: list[News] = []

    def tell(self, news: News) -> None:
        self.heard.append(news)

    def states(self, cluster_id: str) -> list[str]:
        seen = [one.payload.state for one in self.heard if one.subject == cluster_id]
        return [state for n, state in enumerate(seen) if n == 0 or seen[n - 1] != state]


class World:
    """A broker, a store and an engine that outlive the service under test."""

    def __init__(self, root: Path, fleet: str | None = None, policy: Policy | None = None) -> None:
        """`fleet` as in a fleet's file; the default one without."""
        self.root = root
        file = None
        if fleet is not None:
            file = root / "fleet.toml"
            file.write_text(fleet)
        self.python = root / "stand-in"
        self.python.write_text(STAND_IN)
        self.python.chmod(0o755)
        self.clock = AheadClock()
        self.ear = Ear()
        self.store = MemoryStore()
        self.engine = LocalEngine(root / "engine", str(root))
        devices = SimulatedBackend(file, broker=str(root))
        self.broker = Broker(self.store, devices, self.clock, self.ear, policy or Policy())
        self.broker.start()

    def service(
        self,
        cut: Callable[[Any], Any] = lambda whole: whole,
        mode: str = "",
        grace: float = 10.0,
        past: Past | None = None,
    ) -> Clusters:
        """The service as a server that has just started has it."""
        return Clusters(
            cut(self.broker),
            cut(self.engine),
            cut(self.store),
            self.ear,
            self.clock,
            self.root / "clusters",
            dict(os.environ) | {BROKER_ENV: str(self.root), "STAND_IN": mode},
            stop_grace=grace,
            past=past,
        )

    def order(self, **changes: Any) -> wire.NewCluster:
        wanted: dict[str, Any] = {"workers": 2, "per_worker": "1g.10gb", "python": str(self.python)}
        return wire.NewCluster(**(wanted | changes))

    def pids(self) -> list[int]:
        """Processes of any lease of this broker."""
        return [one.pid for one in EnvironScanner(str(self.root)).scan()]

    def until(self, service: Clusters, cluster_id: str, *states: str) -> wire.Cluster:
        def there() -> wire.Cluster | None:
            service.reconcile()
            now = service.get(ADA, cluster_id)
            return now if now.state in states else None

        found = wait_for(there, what=f"{cluster_id} is {states}", every=0.01)
        assert found is not None
        return found

    def eventually(
        self, service: Clusters, cluster_id: str, condition: Callable[[wire.Cluster], bool]
    ) -> wire.Cluster:
        """Step on until the cluster looks like that."""

        def there() -> wire.Cluster | None:
            service.reconcile()
            now = service.get(ADA, cluster_id)
            return now if condition(now) else None

        found = wait_for(there, what=cluster_id, every=0.01)
        assert found is not None
        return found

    def clear(self) -> None:
        """What the reaper does: ended leases without processes are free again."""
        for lease in self.broker.uncleared():
            self.broker.clear(lease.id)

    def running(self, service: Clusters, **changes: Any) -> wire.Cluster:
        made = service.create(ADA, self.order(**changes))
        return self.until(service, made.id, "running")

    def close(self) -> None:
        """End whatever a failed test left."""
        for key in {one.key for one in EnvironScanner(str(self.root)).scan()}:
            self.engine.kill_key(key or "")
