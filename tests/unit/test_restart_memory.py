"""What a broker knows of the past after a restart: as much as before, and no more than it needs."""

from __future__ import annotations

import pytest

from gpu_workbench_server.domain.fairshare import REMEMBERED
from gpu_workbench_server.domain.habits import LEARNED_SECONDS
from gpu_workbench_server.domain.quota import account
from gpu_workbench_server.domain.rules import Rules
from gpu_workbench_server.domain.units import PARTS
from gpu_workbench_server.ports import Principal
from gpu_workbench_server.services.policy import Policy
from gpu_workbench_server.store.memory import MemoryStore
from tests.support.desk import Desk
from tests.support.fleets import gpu

ANA, BEN = Principal("ana", ("vision",)), Principal("ben", ("vision",))
DAY = 86400.0


class Watched(MemoryStore):
    """Keeps since when the ledger was asked for."""

    since = -1.0

    def ledger(self, user=None, since=0.0, until=None):  # type: ignore[no-untyped-def]
        self.since = since
        return super().ledger(user, since, until)


def averages(desk: Desk) -> dict[str, float]:
    now = desk.clock.time
    return {
        f"{scope} {name}": account(desk.broker.keeper.state, scope, name, now).average / PARTS
        for scope, name in (("user", "ana"), ("user", "ben"), ("group", "vision"))
    }


def a_past(half_life: float) -> Desk:
    """Leases of two people over 40 half-lives; one of Ana's still runs."""
    rules = Rules(half_life=half_life)
    desk = Desk(gpu(0), gpu(1), policy=Policy(rules=rules), store=Watched())
    desk.clock.time = 1e9
    for step in range(80):
        who, what = ((ANA, "gpu"), (BEN, "0.5"), (ANA, "0.25"))[step % 3]
        lease = desk.ask(who, what)
        desk.clock.time += half_life * (0.1 + 0.3 * (step % 4))
        desk.broker.release(who, lease.id)
        desk.broker.clear(lease.id)
        desk.clock.time += half_life * 0.05
    desk.ask(ANA, "0.5")
    desk.clock.time += half_life / 3
    return desk


@pytest.mark.parametrize("half_life", [600.0, 7 * DAY])
def test_decayed_usage_is_the_same_after_a_restart(half_life: float) -> None:
    desk = a_past(half_life)
    before = averages(desk)
    assert min(before.values()) > 0.01
    desk.restarted()
    assert averages(desk) == pytest.approx(before, abs=2**-REMEMBERED)


def test_and_after_a_failed_commit(half_life: float = 7 * DAY) -> None:
    desk = a_past(half_life)
    before = averages(desk)
    desk.broker.keeper.rebuild()
    assert averages(desk) == pytest.approx(before, abs=2**-REMEMBERED)


@pytest.mark.parametrize(
    ("half_life", "horizon"),
    [(7 * DAY, REMEMBERED * 7 * DAY), (600.0, LEARNED_SECONDS)],
)
def test_a_start_reads_no_more_of_the_ledger_than_still_counts(
    half_life: float, horizon: float
) -> None:
    desk = a_past(half_life)
    desk.restarted()
    assert isinstance(desk.store, Watched)
    assert desk.store.since == desk.clock.time - horizon
