"""MIG placement rules."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gpu_workbench_server.domain.mig import first_layout, layout_faults, rule_for
from tests.support.fleets import mig_gpu


def test_the_default_layout_keeps_the_rules() -> None:
    assert layout_faults(mig_gpu().instances, 80.0) == []


def test_overlapping_instances_are_a_fault() -> None:
    first, second, *_rest = mig_gpu().instances
    assert "overlaps" in str(layout_faults([first, replace(second, start=first.start)], 80.0))


def test_an_instance_may_start_only_where_its_profile_may() -> None:
    big = mig_gpu(profiles=("3g.40gb",)).instances[0]
    assert "may not start at 1" in str(layout_faults([replace(big, start=1)], 80.0))


def test_a_profile_that_does_not_exist_is_a_fault() -> None:
    one = mig_gpu(profiles=("1g.10gb",)).instances[0]
    assert "is not a MIG profile" in str(layout_faults([replace(one, profile="5g.50gb")], 80.0))


def test_one_compute_slice_with_double_memory_takes_two_memory_slices() -> None:
    rule = rule_for("1g.20gb", 80.0)
    assert rule is not None
    assert (rule.size, rule.compute) == (2, 1)


def test_seven_small_ones_fit_and_eight_do_not() -> None:
    assert first_layout(["1g.10gb"] * 7, 80.0) == [0, 1, 2, 3, 4, 5, 6]
    with pytest.raises(ValueError, match="do not fit"):
        first_layout(["1g.10gb"] * 8, 80.0)


def test_a_layout_is_found_although_the_first_try_would_block_it() -> None:
    assert first_layout(["2g.20gb", "4g.40gb"], 80.0) == [4, 0]
