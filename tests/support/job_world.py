"""The jobs' service with a real broker, engine and store, and simulated slices.

world.jobs.create(ANA, new(script=sleeper(tmp_path)))
world.until(job.id, "running")
"""

from __future__ import annotations

import math
import os
from base64 import b64encode
from pathlib import Path
from typing import Any

import cloudpickle

from gpu_workbench import protocol as wire
from gpu_workbench_server.devices.simulated import SimulatedBackend
from gpu_workbench_server.domain.jobs import OVER
from gpu_workbench_server.engines.local import LocalEngine
from gpu_workbench_server.ports import News, Principal, ProcessRef, ProcessSpec
from gpu_workbench_server.services.broker import Broker
from gpu_workbench_server.services.jobs import Jobs
from gpu_workbench_server.services.policy import Policy
from gpu_workbench_server.store.memory import MemoryStore

from .clock import AheadClock
from .waiting import wait_for

ANA, BEN, ADMIN = Principal("ana"), Principal("ben"), Principal("root", admin=True)
NAME = f"jobs-under-test-{os.getpid()}"
"""Another run of the tests on this machine may have a lease of the same number."""


class Paper:
    """Keeps the news."""

    def __init__(self) -> None:
        self.news: list[News] = []

    def tell(self, news: News) -> None:
        self.news.append(news)


class CutOff(Exception):
    """The server is killed at this very line."""


class EngineThatIsCutOff(LocalEngine):
    """Starts the process, and then its server dies before it could note the pid."""

    def submit(self, spec: ProcessSpec) -> ProcessRef:
        super().submit(spec)
        raise CutOff


class World:
    """One data directory; `jobs` is what a server makes of it, a new one after each restart."""

    def __init__(self, root: Path, fleet: str | None = None, policy: Policy | None = None) -> None:
        """`fleet` as in a fleet's file; the default one without."""
        file = None
        if fleet is not None:
            file = root / "fleet.toml"
            file.write_text(fleet)
        self.root = root
        self._policy = policy or Policy()
        self.clock = AheadClock()
        self.engine = LocalEngine(root / "engine", NAME)
        self.store = MemoryStore()
        self.paper = Paper()
        self.devices = SimulatedBackend(file, broker=NAME)
        self.broker = self._broker()
        self.jobs = self.service(self.engine)

    def _broker(self) -> Broker:
        broker = Broker(self.store, self.devices, self.clock, self.paper, self._policy)
        broker.start()
        return broker

    def keep(self, days: float, gigabytes: float) -> None:
        """From now on for so long, and so much, of jobs that are over."""
        self.jobs = self.service(self.engine, days * 86400, gigabytes * 1e9)

    def service(
        self, engine: LocalEngine, seconds: float = math.inf, size: float = math.inf
    ) -> Jobs:
        inherited = {
            name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ
        }
        inherited |= {wire.BROKER_ENV: NAME, "JUPYTERHUB_API_TOKEN": "secret"}
        common = (self.broker, engine, self.store, self.paper, self.clock)
        return Jobs(*common, self.root / "jobs", inherited, keep_seconds=seconds, keep_bytes=size)

    def restart(self) -> None:
        """A new server on the same directory."""
        self.engine.close()
        self.engine = LocalEngine(self.root / "engine", NAME)
        self.broker = self._broker()
        self.jobs = self.service(self.engine)

    def step(self) -> None:
        """What a server does about once a second."""
        self.jobs.reconcile()
        for lease in self.broker.uncleared():
            if not self.engine.lease_pids(lease.id):
                self.broker.clear(lease.id)

    def until(self, job_id: str, *states: str, seconds: float = 60.0) -> wire.Job:
        def reached() -> wire.Job | None:
            self.step()
            now = self.jobs.get(ANA, job_id)
            assert now.state in states or now.state not in OVER, now
            return now if now.state in states else None

        return wait_for(reached, seconds, f"{job_id} {states}")

    def close(self) -> None:
        """Nothing that it started is left."""
        for lease in self.broker.alive():
            self.engine.kill_lease(lease.id)
        self.engine.close()

    def directory(self, job_id: str) -> Path:
        return self.root / "jobs" / job_id


def new(**changes: Any) -> wire.JobSpec:
    defaults: dict[str, Any] = {"ranks": 1, "per_rank": "0.25", "name": "count"}
    if "script" not in changes:
        defaults["function_b64"] = b64encode(cloudpickle.dumps((len, ("abc",), {}))).decode()
    return wire.JobSpec(**(defaults | changes))


def sleeper(tmp_path: Path) -> str:
    script = tmp_path / "sleeper.py"
    script.write_text("import time\nprint('up', flush=True)\ntime.sleep(300)\n")
    return str(script)


def fill(world: World) -> wire.Request:
    """Somebody takes all quarters."""
    return world.broker.ask(BEN, wire.Ask(what="0.25", count=4, purpose="cell"))
