"""The policy file: what it says, and what is said of one that is wrong."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from gpu_workbench_server.domain.fleet import Limits, Pool
from gpu_workbench_server.domain.rules import Rules
from gpu_workbench_server.domain.units import PARTS
from gpu_workbench_server.errors import BadConfiguration
from gpu_workbench_server.services import policy_file
from gpu_workbench_server.services.policy import Policy
from gpu_workbench_server.services.policy_file import parse_policy, read_policy
from gpu_workbench_server.services.policy_text import lines_of
from tests.architecture.tree import ROOT

WHOLE = """\
[leases]
max = "48h"
notice = "10min"

[pools.a100]
whole = true
fractions = [
  0.5,
  0.25,  # smallest last: the order does not matter
]
default = "90min"

[pools.spare]
engine = "slurm"
fractions = []

[users."*"]
limit = 2
[users.ada]
limit = 4.5
[groups.vision]
deserved = 8
limit = 16
weight = 2

[order]
half_life = "14d"
backfill = "conservative"
size_weight = 0.5
size_cap = "1d"

[preemption]
min_run = 300
grace = "30s"
"""


def faults(text: str) -> list[str]:
    with pytest.raises(BadConfiguration) as caught:
        parse_policy(text)
    assert caught.value.hint
    return caught.value.message.splitlines()


def test_an_empty_file_is_the_default_policy() -> None:
    assert parse_policy("") == Policy((Pool(),), Limits(), Rules())


def test_a_whole_file_becomes_the_values_of_the_domain() -> None:
    found = parse_policy(WHOLE)
    assert found.pools == (
        Pool("a100", fractions=(0.25, 0.5), default_seconds=5400, max_seconds=172_800),
        Pool("spare", engine="slurm", fractions=(), max_seconds=172_800),
    )
    limits = Limits({"ada": 9 * PARTS // 2}, {"vision": 16 * PARTS}, 2 * PARTS, None)
    assert found.limits == limits
    assert found.rules == Rules(
        deserved=Limits(groups={"vision": 8 * PARTS}),
        weights={"vision": 2.0},
        half_life=14 * 86400,
        backfill="conservative",
        size_weight=0.5,
        size_cap=86400,
        min_run=300,
        grace=30,
        notice=600,
    )


def test_without_preemption_nobody_has_ever_run_long_enough_to_give_way() -> None:
    assert parse_policy("[preemption]\non = false").rules.min_run == math.inf


def test_a_maximum_alone_shortens_the_default_duration() -> None:
    (pool,) = parse_policy('[pools.quick]\nmax = "30min"').pools
    assert (pool.default_seconds, pool.max_seconds) == (1800, 1800)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (
            "[pools.a100]\nfractions = [\n 0.25,\n 1.5]",
            "policy.toml line 2, key pools.a100.fractions: "
            "1.5 is not a share of one GPU, 0.001 up to below 1.",
        ),
        (
            '\n\n[pools.a100]\nmaximum = "2h"',
            "policy.toml line 4, key pools.a100.maximum: "
            "there is no such key in [pools.a100]; did you mean max?",
        ),
        (
            "[pool.a100]",
            "policy.toml line 1, key pool: there is no such key here; did you mean pools?",
        ),
        (
            "[order]\nhalflife = 5",
            "policy.toml line 2, key order.halflife: "
            "there is no such key in [order]; did you mean half_life?",
        ),
        (
            "[leases]\nzzz = 5",
            "policy.toml line 2, key leases.zzz: there is no such key in [leases]; "
            "there are default, max, idle, claim, notice.",
        ),
        (
            '[order]\nbackfill = "esy"',
            "policy.toml line 2, key order.backfill: 'esy' is not known; did you mean 'easy'?",
        ),
        (
            '[preemption]\ngrace = "soon"',
            "policy.toml line 2, key preemption.grace: 'soon' is not a duration: "
            'say seconds, or "90s", "10min", "2h", "7d".',
        ),
        (
            "[preemption]\non = 1",
            "policy.toml line 2, key preemption.on: 1 is neither true nor false.",
        ),
        (
            "[leases]\nmax = -5",
            "policy.toml line 2, key leases.max: -5 s is too short: it must be at least 1 s.",
        ),
        (
            "[users]\nada = { limit = -1 }",
            "policy.toml line 2, key users.ada.limit: -1 is not a number of GPUs, 0 or more.",
        ),
        (
            "users.ada.limit = true",
            "policy.toml line 1, key users.ada.limit: True is not a number of GPUs, 0 or more.",
        ),
        (
            "[groups.a]\nweight = 0",
            "policy.toml line 2, key groups.a.weight: it is 0: it must be more than 0.",
        ),
        (
            "[groups.a]\nlimit = 1\ndeserved = 2",
            "policy.toml line 3, key groups.a.deserved: 2 GPU are deserved, but the limit is 1.",
        ),
        (
            '[users."*"]\nweight = 2',
            "policy.toml line 2, key users.*.weight: only somebody named has a weight.",
        ),
        (
            "[users.a]\nweight = 2\n[groups.a]\nweight = 3",
            "policy.toml line 4, key groups.a.weight: user a has another weight.",
        ),
        (
            '[pools.a]\ndefault = "3h"\nmax = "2h"',
            "policy.toml line 2, key pools.a.default: "
            "the default of 10800 s is more than the maximum of 7200 s.",
        ),
        (
            "pools = 3",
            "policy.toml line 1, key pools: it must be a table ([pools]), not 3.",
        ),
    ],
)
def test_a_fault_is_named_with_its_line_and_key(text: str, fault: str) -> None:
    assert faults(text) == [fault]


def test_all_faults_are_named_at_once_in_the_order_of_their_lines() -> None:
    found = faults("[order]\ndepth = 1.5\n[pools.b]\nwhole = 2\n[order2]\n")
    assert [line.split(",")[0] for line in found] == [f"policy.toml line {n}" for n in (2, 4, 5)]


def test_a_text_that_is_no_toml_is_refused_with_its_line() -> None:
    (fault,) = faults("[pools.a\n")
    assert fault.startswith("policy.toml is not TOML: ")
    assert "line 1" in fault


def test_a_file_that_can_not_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadConfiguration, match=r"gone\.toml can't be read: No such file"):
        read_policy(tmp_path / "gone.toml")
    (tmp_path / "odd.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(BadConfiguration, match=r"odd\.toml can't be read: it is not UTF-8"):
        read_policy(tmp_path / "odd.toml")


def test_the_faults_of_a_file_carry_its_name(tmp_path: Path) -> None:
    path = tmp_path / "team.toml"
    path.write_text("[order]\ndepht = 3\n")
    with pytest.raises(BadConfiguration, match=r"^team\.toml line 2, key order\.depht: "):
        read_policy(path)


def test_lines_are_found_of_quoted_dotted_and_repeated_keys() -> None:
    text = 'a."b c" = 1\n# [not] a table\n[[d]]\ne = """\n[f]\n"""\n[[d]]\ng = {h = 1}\n'
    assert lines_of(text) == {
        ("a",): 1,
        ("a", "b c"): 1,
        ("d",): 3,
        ("d", "e"): 4,
        ("d", "g"): 8,
        ("d", "g", "h"): 8,
    }


def test_the_manual_has_every_key_and_its_example_is_a_policy() -> None:
    manual = (ROOT / "docs/admin/policy.md").read_text()
    known = (policy_file._POOL, policy_file._ORDER, policy_file._PREEMPTION, policy_file._PAYER)
    for name in {name for table in known for name in table} | {"notice"}:
        assert f"| `{name}` |" in manual, name
    example = manual.split("```toml\n")[1].split("```")[0]
    assert parse_policy(example).pools[0].name == "a100"


def test_who_may_book_ahead_and_how_long_is_set_in_its_section() -> None:
    text = """
        [reservations]
        by = ["ana", "vision"]
        longest = "2d"
        ahead = "30d"
        unclaimed = "20min"
    """
    policy = parse_policy(text)
    assert policy.bookers == ("ana", "vision")
    rules = policy.rules
    assert (rules.book_seconds, rules.book_ahead, rules.unclaimed) == (172_800, 2_592_000, 1200)


def test_a_typo_in_it_is_named_with_line_and_key() -> None:
    with pytest.raises(BadConfiguration) as caught:
        parse_policy('[reservations]\nlongst = "7d"\nahead = "soon"\nby = "ana"\n')
    assert "line 2, key reservations.longst" in caught.value.message
    assert "did you mean longest?" in caught.value.message
    assert "line 3, key reservations.ahead: 'soon' is not a duration" in caught.value.message
    assert "line 4, key reservations.by: 'ana' is not a list" in caught.value.message
