"""Asking: what is understood, what is refused, and with which words."""

from __future__ import annotations

import pytest

from gpu_workbench_server.domain.asks import Wanted
from gpu_workbench_server.domain.decide import admit
from gpu_workbench_server.domain.fleet import Limits, Pool
from gpu_workbench_server.domain.units import PARTS
from gpu_workbench_server.errors import (
    BadAsk,
    NeverFits,
    NotFound,
    OverLimit,
    TooLong,
    UnknownProfile,
)
from tests.support.fleets import Script, gpu, mig_gpu, state_of


def admitted(what: str, **more: object) -> object:
    state = state_of(gpu(0), mig_gpu(1))
    return admit(state, Wanted("ana", None, what, **more), 1, 0.0)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("what", "profile"),
    [
        ("20GB", "fraction-0.25"),
        ("20 gb", "fraction-0.25"),
        ("10GB", "mig-1g.10gb"),
        ("512MB", "mig-1g.10gb"),
        ("25GB", "mig-3g.40gb"),
        ("41GB", "whole"),
        ("0.25", "fraction-0.25"),
        ("0.5", "fraction-0.5"),
        ("1g.10gb", "mig-1g.10gb"),
        ("mig-2g.20gb", "mig-2g.20gb"),
        ("gpu", "whole"),
        ("1", "whole"),
    ],
)
def test_an_ask_comes_down_to_the_smallest_profile_that_serves_it(what: str, profile: str) -> None:
    assert admitted(what).profile == profile  # type: ignore[attr-defined]


@pytest.mark.parametrize("what", ["", "a lot", "0GB", "-1", "2.5", "GB"])
def test_what_cannot_be_read_is_a_bad_ask_with_examples(what: str) -> None:
    with pytest.raises(BadAsk) as caught:
        admitted(what)
    assert "20GB" in caught.value.hint


def test_more_memory_than_any_slice_has_names_the_largest() -> None:
    with pytest.raises(NeverFits) as caught:
        admitted("200GB")
    assert "the largest has 80 GB" in caught.value.message
    assert "count=" in caught.value.hint


def test_an_unknown_profile_is_answered_with_what_is_on_offer() -> None:
    with pytest.raises(UnknownProfile) as caught:
        admitted("4g.40gb")
    assert "1g.10gb" in caught.value.hint
    assert "gpu" in caught.value.hint


def test_more_slices_than_the_pool_could_ever_give_names_how_many_it_could() -> None:
    with pytest.raises(NeverFits) as caught:
        admitted("1g.10gb", count=3)
    assert "2 with everything free" in caught.value.message


def test_more_on_one_node_than_any_node_has_is_refused() -> None:
    state = state_of(gpu(0, "a"), gpu(0, "b"))
    with pytest.raises(NeverFits):
        admit(state, Wanted("ana", None, "gpu", count=2, same_node=True), 1, 0.0)


def test_more_than_the_users_limit_is_refused_whatever_is_free() -> None:
    state = state_of(gpu(0), gpu(1), limits=Limits(default_user=PARTS))
    with pytest.raises(OverLimit) as caught:
        admit(state, Wanted("ana", None, "gpu", count=2), 1, 0.0)
    assert "2 GPU is more than your limit of 1" in caught.value.message
    assert "You can have 1" in caught.value.hint


def test_more_than_the_groups_limit_is_refused_too() -> None:
    state = state_of(gpu(0), limits=Limits(groups={"vision": PARTS // 2}))
    with pytest.raises(OverLimit) as caught:
        admit(state, Wanted("ana", "vision", "gpu"), 1, 0.0)
    assert "your group's limit of 0.5" in caught.value.message


def test_longer_than_the_pool_allows_is_refused_with_the_longest() -> None:
    with pytest.raises(TooLong) as caught:
        admitted("gpu", seconds=Pool().max_seconds + 1)
    assert "24 h" in caught.value.hint


@pytest.mark.parametrize(("field", "value"), [("seconds", 0), ("seconds", -5), ("count", 0)])
def test_absurd_numbers_are_bad_asks(field: str, value: int) -> None:
    with pytest.raises(BadAsk):
        admitted("gpu", **{field: value})


def test_an_unknown_pool_is_answered_with_the_pools_there_are() -> None:
    with pytest.raises(NotFound) as caught:
        admitted("gpu", pool="a100")
    assert "default" in caught.value.hint


def test_without_a_duration_the_pools_default_is_taken() -> None:
    assert admitted("gpu").seconds == Pool().default_seconds  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("held", "ask", "count", "profile"),
    [
        ([], "20GB", 1, "fraction-0.25"),  # both are free: the one with fewer parts
        (["gpu"], "20GB", 1, "mig-2g.20gb"),
        (["gpu", "2g.20gb"], "20GB", 1, "fraction-0.25"),  # neither is
        (["2g.20gb"], "20GB", 1, "fraction-0.25"),
        (["0.25", "0.5"], "20GB", 1, "fraction-0.25"),  # a quarter is left
        (["0.25", "0.5"], "20GB", 2, "fraction-0.25"),  # neither has two
        (["0.5", "0.5"], "20GB", 1, "mig-2g.20gb"),
        ([], "25GB", 1, "mig-3g.40gb"),
        (["3g.40gb"], "25GB", 1, "fraction-0.5"),
        (["3g.40gb", "gpu"], "25GB", 1, "mig-3g.40gb"),
        (["gpu"], "0.25", 1, "fraction-0.25"),  # who names a profile gets it
        (["gpu"], "10GB", 1, "mig-1g.10gb"),
    ],
)
def test_of_profiles_with_the_same_memory_the_one_that_is_free_is_taken(
    held: list[str], ask: str, count: int, profile: str
) -> None:
    script = Script(state_of(gpu(0), mig_gpu(1)))
    for what in held:
        assert script.holds(script.ask(what, user="ben"))
    admitted = admit(script.state, Wanted("ana", None, ask, count=count), 99, 1000.0)
    assert admitted.profile == profile
