"""MIG placements by table: legal ones only, and those that keep large profiles possible."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gpu_workbench_server.domain.mig import MigInstance, layout_faults, rule_for
from gpu_workbench_server.domain.mig_masks import Masks, fits, mask_of, span

NAMES = ("1g.10gb", "1g.20gb", "2g.20gb", "3g.40gb", "4g.40gb", "7g.80gb")
RULES = {name: rule for name in NAMES if (rule := rule_for(name, 80.0))}


def test_the_first_small_one_keeps_a_half_of_the_gpu_whole() -> None:
    spot = Masks(RULES, {}).spot("1g.10gb", 0)
    assert spot is not None
    assert spot.start >= 4  # the left half is the only one for 4g


def test_a_gpu_that_is_begun_is_better_than_an_empty_one() -> None:
    tables = Masks(RULES, {})
    begun, empty = tables.spot("1g.10gb", mask_of([(4, 2)])), tables.spot("1g.10gb", 0)
    assert begun is not None and empty is not None
    assert begun.score < empty.score


def test_where_nothing_fits_there_is_no_spot() -> None:
    tables = Masks(RULES, {})
    assert tables.spot("7g.80gb", 1) is None
    assert tables.spot("3g.40gb", span(0, 1) | span(4, 1)) is None


def test_a_small_gpu_has_tables_of_its_own_size() -> None:
    a30 = {"1g.6gb": RULES["1g.10gb"].__class__(1, 1, (0, 1, 2, 3))}
    assert len(Masks(a30, {}, slices=4).cost) == 16


@given(st.lists(st.sampled_from(NAMES), max_size=20))
def test_no_placement_breaks_the_rules(wanted: list[str]) -> None:
    tables = Masks(RULES, {})
    mask, stood = 0, []
    for name in wanted:
        rule = RULES[name]
        spot = tables.spot(name, mask)
        assert (spot is None) == (fits(rule, mask) == 0)
        if spot is not None:
            mask |= span(spot.start, rule.size)
            stood.append(
                MigInstance(str(len(stood)), name, spot.start, 0, 0.0, rule.compute, rule.size)
            )
    assert layout_faults(stood, 80.0) == []
