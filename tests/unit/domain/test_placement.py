"""Placement on the live state: near each other, never twice, never more than there is."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from gpu_workbench_server.domain.decisions import Cleared, Ended
from gpu_workbench_server.domain.invariants import broken
from gpu_workbench_server.domain.leases import Request, Slice
from gpu_workbench_server.domain.placement import place
from gpu_workbench_server.domain.state import State
from gpu_workbench_server.domain.units import PARTS
from gpu_workbench_server.errors import Refused
from tests.support.fleets import Script, gpu, mig_gpu, state_of


def wants(profile: str, count: int = 1, *, parts: int = PARTS, same_node: bool = False) -> Request:
    return Request(
        900, "ana", None, profile, profile, "default", count, 3600, 0.0, parts * count,
        same_node=same_node,
    )  # fmt: skip


def placed(state: State, request: Request, shut: tuple[str, ...] = ()) -> list[str]:
    """GPUs of the slices; fails where there are none."""
    slices = place(state, request, shut)
    assert slices is not None
    return [one.gpu for one in slices]


def test_a_fraction_goes_where_one_is_already() -> None:
    script = Script(state_of(gpu(0), gpu(1), gpu(2)))
    first = script.ask("0.25")
    on = {one.gpu for one in script.state.leases[first].slices}
    assert set(placed(script.state, wants("fraction-0.25", parts=PARTS // 4))) == on


def test_a_gang_stays_on_one_node_where_one_has_room() -> None:
    nodes = [gpu(i, node) for node in ("a", "b") for i in range(4)]
    script = Script(state_of(*nodes))
    script.ask("gpu")
    gang = placed(script.state, wants("whole", 4))
    assert len({script.state.gpus[uuid].node for uuid in gang}) == 1


def test_a_gang_takes_one_nvlink_island_then_one_numa_node() -> None:
    gpus = [gpu(i, island=i % 2, numa=i // 4) for i in range(8)]
    state = state_of(*gpus)
    assert {state.gpus[u].island for u in placed(state, wants("whole", 4))} == {0}
    pair = [state.gpus[u] for u in placed(state, wants("whole", 2))]
    assert len({(one.island, one.numa) for one in pair}) == 1


def test_of_equal_nodes_the_one_with_an_island_for_the_gang_is_taken() -> None:
    apart = [gpu(i, "a", island=i) for i in range(2)]
    near = [gpu(i, "b", island=0) for i in range(2)]
    gang = placed(state_of(*apart, *near), wants("whole", 2))
    assert gang == [one.uuid for one in near]


def test_a_gang_larger_than_a_node_is_spread_unless_it_may_not_be() -> None:
    state = state_of(*(gpu(i, node) for node in ("a", "b") for i in range(2)))
    assert len(set(placed(state, wants("whole", 3)))) == 3
    assert place(state, wants("whole", 3, same_node=True)) is None


def test_a_gang_on_one_node_may_use_unlike_gpus() -> None:
    state = state_of(gpu(0), gpu(1, model="A10 24GB", memory_gb=24.0), gpu(0, "b"))
    assert len(placed(state, wants("whole", 2, same_node=True))) == 2


def test_a_shut_gpu_is_not_given() -> None:
    state = state_of(gpu(0), gpu(1))
    shut = (gpu(0).uuid,)
    assert placed(state, wants("whole"), shut) == [gpu(1).uuid]
    assert place(state, wants("whole", 2), shut) is None
    assert len(placed(state, wants("whole", 2))) == 2


def test_asking_changes_nothing_and_the_answer_is_the_same_again() -> None:
    state = state_of(*(gpu(i) for i in range(4)))
    assert place(state, wants("whole", 3)) == place(state, wants("whole", 3))


def test_of_mig_instances_the_one_on_the_gpu_in_use_is_given() -> None:
    script = Script(state_of(mig_gpu(0), mig_gpu(1)))
    first = script.ask("3g.40gb")
    (held,) = script.state.leases[first].slices
    assert placed(script.state, wants("mig-1g.10gb", parts=6000)) == [held.gpu]


def overfull(state: State) -> bool:
    slices: list[Slice] = [one for le in state.leases.values() for one in le.slices]
    return any(state.free_parts(gpu) < 0 for gpu in state.gpus.values()) or len(
        {one.id for one in slices}
    ) != len(slices)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["gpu", "0.5", "0.25", "1g.10gb", "2g.20gb", "3g.40gb"]),
            st.integers(1, 4),
            st.booleans(),
            st.booleans(),
        ),
        max_size=30,
    )
)
def test_whatever_is_asked_and_given_back_no_rule_is_broken(
    asked: list[tuple[str, int, bool, bool]],
) -> None:
    fleet = [gpu(i, node) for node in ("a", "b") for i in range(3)]
    script = Script(state_of(*fleet, mig_gpu(7), mig_gpu(8)))
    held: list[int] = []
    for what, count, same_node, back in asked:
        try:
            held.append(script.ask(what, count=count, same_node=same_node))
        except Refused:
            continue
        assert broken(script.state) == []
        assert not overfull(script.state)
        if back and held and script.holds(held[0]):
            first = held.pop(0)
            script.run(Ended(first, "released"))
            script.run(Cleared(first))
    assert broken(script.state) == []
