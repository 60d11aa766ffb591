"""Cutting idle GPUs anew for those who wait: by an admin, in pools that allow it, never held."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gpu_workbench_server.domain.fleet import Pool
from gpu_workbench_server.domain.invariants import broken
from gpu_workbench_server.domain.repartition import Layout
from gpu_workbench_server.errors import CanNotCut, Forbidden, WrongState
from gpu_workbench_server.ports import Principal
from gpu_workbench_server.services.policy import Policy
from tests.support.desk import Desk
from tests.support.fleets import mig_gpu

ANA, BEN, ADMIN = Principal("ana"), Principal("ben"), Principal("root", admin=True)
SMALL, LARGE = ("1g.10gb",) * 7, ("3g.40gb", "3g.40gb")


def a_desk(allowed: bool = True) -> Desk:
    """A GPU of two large instances and one of seven small ones; the large ones are taken."""
    gpus = [replace(mig_gpu(0, LARGE), simulated=True), replace(mig_gpu(1, SMALL), simulated=True)]
    desk = Desk(*gpus, policy=Policy((Pool(repartition=allowed),)))
    desk.ask(BEN, "3g.40gb", count=2)
    return desk


def test_what_waits_is_proposed_and_served_by_applying_it() -> None:
    desk = a_desk()
    waiting = desk.ask(ANA, "3g.40gb", count=2)
    [proposal] = desk.broker.proposals(ANA).proposals
    assert (proposal.name, proposal.pool, proposal.serves) == ("gpu1", "default", [waiting.id])
    assert [one.profile for one in proposal.now] == list(SMALL)
    assert sorted(one.profile for one in proposal.layout) == list(LARGE)

    done = desk.broker.repartition(ADMIN)
    assert done.proposals == [proposal]
    assert [one.id for one in desk.broker.leases(ANA)] == [waiting.id]
    assert desk.broker.proposals(ANA).proposals == []
    assert broken(desk.broker.keeper.state) == []
    entry = next(one for one in desk.store.audit() if one.action == "repartitioned")
    assert (entry.actor, entry.subject) == ("root", "gpu1")
    assert "3g.40gb at 0 + 3g.40gb at 4" in entry.detail


def test_a_pool_that_does_not_allow_it_has_no_proposals() -> None:
    desk = a_desk(allowed=False)
    desk.ask(ANA, "3g.40gb", count=2)
    assert desk.broker.proposals(ADMIN).proposals == []
    assert desk.broker.repartition(ADMIN).proposals == []
    assert len(desk.devices.inventory()[1].instances) == 7


def test_only_an_admin_may() -> None:
    desk = a_desk()
    desk.ask(ANA, "3g.40gb", count=2)
    with pytest.raises(Forbidden):
        desk.broker.repartition(ANA)
    assert len(desk.devices.inventory()[1].instances) == 7


def test_a_gpu_that_came_to_be_held_since_the_proposal_is_not_touched() -> None:
    desk = a_desk()
    desk.ask(ANA, "3g.40gb", count=2)
    [proposal] = desk.broker.proposals(ADMIN).proposals
    held = desk.ask(BEN, "1g.10gb")
    with pytest.raises(WrongState, match="it is held"):
        desk.broker.repartition(ADMIN, [proposal.gpu])
    assert desk.broker.repartition(ADMIN).proposals == []
    assert len(desk.devices.inventory()[1].instances) == 7

    desk.broker.release(BEN, held.id)
    with pytest.raises(WrongState):
        desk.broker.repartition(ADMIN, [proposal.gpu])  # ended, and not found empty yet
    desk.broker.clear(held.id)
    assert desk.broker.repartition(ADMIN, [proposal.gpu]).proposals == [proposal]


def test_a_device_that_refuses_is_said_and_the_broker_knows_what_stands() -> None:
    desk = a_desk()
    desk.ask(ANA, "3g.40gb", count=2)

    def refuse(uuid: str, layout: Layout) -> None:
        raise CanNotCut("The driver refuses.", "As root: nvidia-smi mig …")

    desk.devices.repartition = refuse  # type: ignore[method-assign]
    with pytest.raises(CanNotCut):
        desk.broker.repartition(ADMIN)
    assert desk.broker.leases(ANA) == []
    assert len(desk.broker.keeper.state.gpus["GPU-localhost-1"].instances) == 7
    assert broken(desk.broker.keeper.state) == []
