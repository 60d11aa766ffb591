"""The objective: which of the ways to serve a request costs least; the index that ranks hosts."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from gpu_workbench_server.domain.packing import Host, Mix, Objective, Shape, learn, ways
from gpu_workbench_server.domain.packing_index import Index

FULL = 1000
WHOLE, HALF, QUARTER, FOUR = Shape(1, 1000), Shape(1, 500), Shape(1, 250), Shape(4, 1000)


def objective(*shapes: Shape) -> Objective:
    """All shapes equally often, on one model."""
    return Objective(learn(dict.fromkeys(shapes, 1.0), {"A": 8 * FULL}), FULL)


def cost(rules: Objective, host: Host, shape: Shape) -> float:
    option = rules.best(host, shape)
    assert option is not None
    return option.score


def test_a_half_goes_to_the_gpu_that_is_half_taken() -> None:
    option = objective(WHOLE, HALF).best(Host("A", (500, 1000)), HALF)
    assert option is not None
    assert option.way.free == (0, 1000)


def test_a_single_gpu_leaves_a_host_that_a_gang_could_have_whole() -> None:
    rules = objective(WHOLE, FOUR)
    started, whole = Host("A", (0, 1000, 1000, 1000)), Host("A", (1000,) * 4)
    assert cost(rules, started, WHOLE) < cost(rules, whole, WHOLE)


def test_a_request_with_few_cpus_goes_where_cpus_are_short() -> None:
    light, heavy = Shape(1, 1000, cpu=1000), Shape(1, 1000, cpu=20000)
    rules = objective(light, heavy)
    short, plenty = Host("A", (1000,), cpu=5000), Host("A", (1000,), cpu=40000)
    assert cost(rules, short, light) < cost(rules, plenty, light)


def test_a_model_that_others_insist_on_is_dearer() -> None:
    picky = WHOLE._replace(models=("A",))
    mix = learn({WHOLE: 1, picky: 1}, {"A": 2 * FULL, "B": 2 * FULL})
    rules = Objective(mix, FULL)
    assert mix.price["A"] > mix.price["B"] == 0
    assert cost(rules, Host("B", (1000,)), WHOLE) < cost(rules, Host("A", (1000,)), WHOLE)


def test_a_host_without_room_cpu_memory_or_the_model_is_no_option() -> None:
    rules = objective(HALF)
    assert rules.best(Host("A", (400,)), HALF) is None
    assert rules.best(Host("A", (1000,), cpu=1), HALF._replace(cpu=2)) is None
    assert rules.best(Host("A", (1000,), memory=1), HALF._replace(memory=2)) is None
    assert rules.best(Host("A", (1000,)), HALF._replace(models=("B",))) is None


def test_the_mix_is_what_covers_nearly_all_requests() -> None:
    mix = learn({WHOLE: 90, HALF: 6, QUARTER: 4}, {"A": FULL})
    assert [shape for shape, _ in mix.weights] == [WHOLE, HALF]


def test_what_is_fragmented_is_what_the_next_request_can_not_use() -> None:
    rules = Objective(Mix(((WHOLE, 0.5), (HALF, 0.5)), {}), FULL)
    # A whole GPU can't use the half: 0.5 x 500; a half can use all.
    assert rules.fragmentation("A", 0, (500, 1000)) == 250
    assert rules.fragmentation("A", 0, (500,)) == 250


def test_waste_is_what_stays_when_a_host_is_filled_with_one_shape() -> None:
    rules = Objective(Mix(((Shape(1, 400, cpu=1000), 1.0),), {}), FULL)
    assert rules.waste("A", 9000, (1000, 1000)) == 400
    assert rules.waste("A", 1000, (1000, 1000)) == 1600  # CPUs for one only


@given(
    st.lists(st.integers(0, 10), min_size=1, max_size=8),
    st.integers(1, 8),
    st.sampled_from([100, 300, 500, 1000]),
)
def test_no_way_takes_more_than_there_is(rooms: list[int], gpus: int, share: int) -> None:
    free = tuple(sorted(100 * room for room in rooms))
    for way in ways(free, Shape(gpus, share), FULL):
        assert min(way.free) >= 0
        assert sum(free) - sum(way.free) == gpus * share
        assert sum(times for _, times in way.taken) == gpus
        if share == FULL:
            assert all(taken == (FULL, 1) for taken in way.taken)


@given(st.integers(0, 10_000))
def test_the_index_finds_what_looking_at_every_host_finds(seed: int) -> None:
    rng = random.Random(seed)
    rules = objective(WHOLE, HALF, QUARTER, FOUR)

    def score(host: Host, shape: Shape) -> float | None:
        option = rules.best(host, shape)
        return option and option.score

    index: Index[Host, Shape] = Index((Host("A", (1000,) * 4) for _ in range(6)), score)
    for _ in range(60):
        shape = rng.choice((WHOLE, HALF, QUARTER, FOUR))
        scored = [(score(host, shape), at) for at, host in enumerate(index.states)]
        best = min(((s, at) for s, at in scored if s is not None), default=None)
        found = index.best(shape)
        assert found == (best and best[1])
        if found is None or rng.random() < 0.3:
            free = tuple(sorted(rng.choice((0, 250, 500, 1000)) for _ in range(4)))
            index.set(rng.randrange(6), Host("A", free))
        else:
            option = rules.best(index.states[found], shape)
            assert option is not None
            index.set(found, Host("A", option.way.free))


def test_a_question_may_see_some_hosts_otherwise_than_they_are() -> None:
    rules = objective(WHOLE, HALF)
    index: Index[Host, Shape] = Index(
        [Host("A", (500,)), Host("A", (1000,))],
        lambda host, shape: (found := rules.best(host, shape)) and found.score,
    )
    assert index.best(HALF) == 0
    assert index.best(HALF, lambda at: Host("A", (0,)) if at == 0 else None) == 1
    assert index.best(HALF) == 0
