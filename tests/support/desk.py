"""A broker with all it needs, set by hand: clock, devices, and a paper that keeps the news."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gpu_workbench import protocol as wire
from gpu_workbench_server.devices.fleet_file import cut_anew
from gpu_workbench_server.domain.fleet import Gpu
from gpu_workbench_server.domain.readings import HardwareError, Reading
from gpu_workbench_server.domain.repartition import Layout
from gpu_workbench_server.errors import NoDevices, StoreTrouble
from gpu_workbench_server.ports import Held, News, Principal, Store
from gpu_workbench_server.services.broker import Broker
from gpu_workbench_server.services.policy import Policy
from gpu_workbench_server.store.memory import MemoryStore
from tests.support.fleets import gpu


class HandClock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.time = 1000.0

    def now(self) -> float:
        return self.time


class Devices:
    """A backend with a fixed list of GPUs and no load."""

    simulated = True

    def __init__(self, *gpus: Gpu) -> None:
        self.gpus: tuple[Gpu, ...] | None = gpus

    def inventory(self) -> Sequence[Gpu]:
        if self.gpus is None:
            raise NoDevices("No driver.", "Install one.")
        return self.gpus

    def read(self, held: Sequence[Held]) -> Reading:
        return Reading()

    def read_slow(self) -> Sequence[HardwareError]:
        return ()

    def processes_of(self, lease: Held) -> list[int]:
        return []

    def repartition(self, uuid: str, layout: Layout) -> None:
        assert self.gpus is not None
        self.gpus = tuple(cut_anew(g, layout) if g.uuid == uuid else g for g in self.gpus)

    def close(self) -> None: ...


class Paper:
    """Keeps the news."""

    def __init__(self) -> None:
        self.news: list[News] = []

    def tell(self, news: News) -> None:
        self.news.append(news)


class FullStore(MemoryStore):
    """A store whose disk is full when told so."""

    full = False

    def commit(self, changes, audit=()):  # type: ignore[no-untyped-def]
        if self.full:
            raise StoreTrouble("The disk is full.", "Make room.")
        super().commit(changes, audit)


class Desk:
    """A broker with all it needs, and what came out of it."""

    def __init__(
        self, *gpus: Gpu, policy: Policy | None = None, store: Store | None = None
    ) -> None:
        self.full = FullStore()
        self.store = store or self.full
        self.clock = HandClock()
        self.paper = Paper()
        self.devices = Devices(*(gpus or (replace(gpu(0), simulated=True),)))
        self.policy = policy or Policy()
        self.broker = self.restarted()

    def restarted(self) -> Broker:
        self.broker = Broker(self.store, self.devices, self.clock, self.paper, self.policy)
        self.broker.start()
        return self.broker

    def ask(self, who: Principal, what: str, **more: object) -> wire.Request:
        return self.broker.ask(who, wire.Ask(what=what, **more))  # type: ignore[arg-type]
