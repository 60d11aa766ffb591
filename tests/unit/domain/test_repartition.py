"""Proposals for another MIG geometry: for idle GPUs only, where the queue would gain."""

from __future__ import annotations

from gpu_workbench_server.domain.leases import Request
from gpu_workbench_server.domain.mig import rule_for
from gpu_workbench_server.domain.repartition import layouts, propose
from gpu_workbench_server.domain.state import State
from tests.support.fleets import Script, mig_gpu, state_of

SMALL, LARGE = ("1g.10gb",) * 7, ("3g.40gb", "3g.40gb")


def request(number: int, profile: str, count: int = 1) -> Request:
    return Request(
        number, "ana", None, profile, f"mig-{profile}", "default", count, 3600, 0.0, 1000 * count
    )


def served(state: State, *queue: Request) -> dict[str, tuple[int, ...]]:
    return {one.gpu: one.serves for one in propose(state, "default", queue)}


def test_a_gpu_of_the_seven_slice_class_can_be_cut_in_38_ways() -> None:
    names = ("1g.10gb", "1g.20gb", "2g.20gb", "3g.40gb", "4g.40gb", "7g.80gb")
    assert len(layouts({n: rule for n in names if (rule := rule_for(n, 80.0))})) == 38


def test_an_idle_gpu_is_cut_anew_for_what_waits() -> None:
    state = state_of(mig_gpu(0, LARGE), mig_gpu(1, SMALL))
    found = propose(state, "default", [request(1, "3g.40gb", 4)])
    assert [(one.gpu, one.serves) for one in found] == [(mig_gpu(1).uuid, (1,))]
    assert [name for name, _ in found[0].layout].count("3g.40gb") == 2


def test_what_stands_and_serves_is_left_as_it_is() -> None:
    state = state_of(mig_gpu(0, LARGE), mig_gpu(1, SMALL))
    assert propose(state, "default", [request(1, "3g.40gb", 2), request(2, "1g.10gb", 7)]) == ()


def test_a_gpu_that_somebody_holds_in_part_is_left_alone() -> None:
    script = Script(state_of(mig_gpu(0, SMALL), mig_gpu(1, LARGE)))
    script.ask("1g.10gb")
    assert served(script.state, request(9, "3g.40gb", 4)) == {}


def test_a_request_that_can_not_be_served_whole_changes_nothing() -> None:
    state = state_of(mig_gpu(0, SMALL), mig_gpu(1, LARGE))
    assert served(state, request(1, "3g.40gb", 5)) == {}
