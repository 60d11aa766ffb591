"""Small fleets and requests for tests of the domain. No I/O."""

from __future__ import annotations

from gpu_workbench_server.domain.asks import Wanted
from gpu_workbench_server.domain.booking import Booking, book
from gpu_workbench_server.domain.decide import admit, decide
from gpu_workbench_server.domain.decisions import Booked, Change, Event, Submitted
from gpu_workbench_server.domain.fleet import Gpu, Limits, Pool
from gpu_workbench_server.domain.leases import Request
from gpu_workbench_server.domain.mig import MigInstance, first_layout, rule_for
from gpu_workbench_server.domain.rules import Rules
from gpu_workbench_server.domain.state import State
from gpu_workbench_server.domain.units import GIB

H100_GB = 80.0

TWO_KINDS = """
[[gpu]]
model = "NVIDIA A100-SXM4-40GB"
memory_gb = 40
[[gpu]]
model = "NVIDIA H100 80GB HBM3"
memory_gb = 80
"""
"""A fleet's file of one GPU of each kind."""
POOLS = (
    Pool("a100", gpus=("a100",), idle_seconds=600),
    Pool("h100", gpus=("h100",), idle_seconds=900),
)
"""One for each of these kinds."""


def gpu(index: int = 0, node: str = "localhost", **changes: object) -> Gpu:
    """An H100 with 80 GB that can be had whole or in quarters and halves."""
    defaults: dict[str, object] = {
        "uuid": f"GPU-{node}-{index}",
        "index": index,
        "model": "H100 80GB",
        "memory_bytes": 80 * GIB,
        "memory_gb": H100_GB,
        "node": node,
    }
    return Gpu(**(defaults | changes))  # type: ignore[arg-type]


def mig_gpu(
    index: int = 0, profiles: tuple[str, ...] = ("3g.40gb", "2g.20gb", "1g.10gb", "1g.10gb")
) -> Gpu:
    """An H100 cut into MIG instances."""
    instances = []
    for number, (profile, start) in enumerate(
        zip(profiles, first_layout(profiles, H100_GB), strict=True)
    ):
        rule = rule_for(profile, H100_GB)
        assert rule is not None
        gb = float(profile.split(".")[1].removesuffix("gb"))
        instances.append(
            MigInstance(
                f"MIG-{index}-{number}",
                profile,
                start,
                int(gb * GIB),
                gb,
                rule.compute,
                rule.size,
            )
        )
    return gpu(index, mig=True, instances=tuple(instances))


def state_of(
    *gpus: Gpu,
    limits: Limits | None = None,
    pool: Pool | None = None,
    rules: Rules | None = None,
) -> State:
    return State((pool or Pool(),), limits, gpus, rules)


class Script:
    """Plays events on a state, as the broker does but without a store."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.now = 1000.0
        self.next_id = 1
        self.ledger: list[Change] = []

    def run(self, event: Event) -> tuple[Change, ...]:
        changes = decide(self.state, event, self.now)
        for change in changes:
            self.state.put(change)
            if change.ledger:
                self.ledger.append(change)
        return changes

    def ask(self, what: str, user: str = "ana", group: str | None = None, **more: object) -> int:
        """Submits a request and returns its id."""
        wanted = Wanted(user=user, group=group, what=what, **more)  # type: ignore[arg-type]
        request = admit(self.state, wanted, self.next_id, self.now)
        self.next_id += 1
        self.run(Submitted(request))
        return request.id

    def book(self, what: str, start: float, end: float, owner: str = "ana", **more: object) -> int:
        """Books a reservation, `start` and `end` in seconds from now; returns its id."""
        wanted = Booking(owner, what, end=self.now + end, start=self.now + start, **more)  # type: ignore[arg-type]
        one = book(self.state, wanted, self.next_id, self.now)
        self.next_id += 1
        self.run(Booked(one))
        return one.id

    def holds(self, request_id: int) -> bool:
        lease = self.state.leases.get(request_id)
        return lease is not None and lease.state != "ended"

    def waits(self, request_id: int) -> Request:
        return self.state.queue[request_id]
