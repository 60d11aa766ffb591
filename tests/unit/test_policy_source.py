"""Where pools, limits and rules come from: the settings or the policy file, never both."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from gpu_workbench_server.domain.fleet import Pool, assigned
from gpu_workbench_server.domain.units import PARTS
from gpu_workbench_server.errors import BadConfiguration
from gpu_workbench_server.services.policy_source import REPLACED, PolicySource
from gpu_workbench_server.settings import Settings
from tests.support.fleets import gpu

POLICY = """
[pools.big]
max = "48h"
[groups.vision]
deserved = 2
weight = 3
[order]
half_life = "2d"
backfill = "conservative"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "policy.toml"
    path.write_text(POLICY)
    return path


def settings(tmp_path: Path, **more: Any) -> Settings:
    return Settings(data_dir=tmp_path, lease_ttl=30, restart_seconds=7.0, **more)


def test_without_a_file_the_settings_say_pools_and_limits(tmp_path: Path) -> None:
    policy = PolicySource(settings(tmp_path, max_seconds=7200, user_limits={"ana": 2.0})).read()
    assert [(pool.name, pool.max_seconds) for pool in policy.pools] == [("default", 7200)]
    assert policy.limits.user("ana") == 2 * PARTS
    assert (policy.lease_ttl, policy.dead_grace, policy.stop_grace) == (30, 7.0, 15.0)


def test_with_a_file_it_says_pools_quotas_and_rules(tmp_path: Path, file: Path) -> None:
    policy = PolicySource(settings(tmp_path, policy_file=file)).read()
    assert [(pool.name, pool.max_seconds) for pool in policy.pools] == [("big", 48 * 3600)]
    assert policy.rules.deserved.group("vision") == 2 * PARTS
    assert policy.rules.weights == {"vision": 3.0}
    assert (policy.rules.half_life, policy.rules.backfill) == (2 * 86400, "conservative")
    assert (policy.lease_ttl, policy.dead_grace) == (30, 7.0), "these stay the settings'"


OTHERWISE: dict[str, Any] = {
    "user_limits": {"ana": 1.0},
    "group_limits": {"vision": 1.0},
    "default_user_limit": 1.0,
    "default_group_limit": 1.0,
    "default_seconds": 60,
    "max_seconds": 90000,
    "idle_seconds": 5,
    "claim_seconds": 5,
    "whole_gpus": False,
    "fractions": (0.5,),
}


@pytest.mark.parametrize("name", REPLACED)
def test_what_stands_in_both_is_refused_and_named(tmp_path: Path, file: Path, name: str) -> None:
    both = settings(tmp_path, policy_file=file, **{name: OTHERWISE[name]})
    with pytest.raises(BadConfiguration) as refused:
        PolicySource(both).read()
    assert f"GpuWorkbenchApp.{name}" in refused.value.message
    assert str(file) in refused.value.hint


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadConfiguration, match=r"none\.toml can't be read: No such file"):
        PolicySource(settings(tmp_path, policy_file=tmp_path / "none.toml")).read()


def test_a_change_is_seen_once_also_one_that_keeps_the_size(tmp_path: Path, file: Path) -> None:
    source = PolicySource(settings(tmp_path, policy_file=file))
    assert not source.changed()
    before = file.stat()
    file.write_text(POLICY.replace('"2d"', '"3d"'))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert [source.changed() for _ in range(3)] == [False, True, False]
    file.unlink()
    assert [source.changed() for _ in range(3)] == [False, True, False]


def test_a_file_that_is_being_saved_is_left_until_it_is_whole(tmp_path: Path, file: Path) -> None:
    source = PolicySource(settings(tmp_path, policy_file=file))
    file.write_text("")
    assert not source.changed(), "emptied, to be written"
    file.write_text(POLICY.replace('"2d"', '"30d"'))
    assert not source.changed(), "it may not be all"
    assert source.changed()
    file.unlink()
    assert not source.changed(), "another takes its place"
    file.write_text(POLICY)
    assert [source.changed() for _ in range(3)] == [False, True, False]


# --- which GPU is in which pool -------------------------------------------------------------------

MIXED = [
    gpu(0, model="NVIDIA A100-SXM4-80GB"),
    gpu(1, model="NVIDIA H100 80GB HBM3"),
    gpu(2, model="NVIDIA H100 80GB HBM3", pool="spare"),
]


@pytest.mark.parametrize(
    ("pools", "expected"),
    [
        ([Pool()], ["default", "default", "default"]),
        ([Pool("a"), Pool("b")], ["a", "a", "a"]),
        ([Pool("a"), Pool("spare")], ["a", "a", "spare"]),
        ([Pool("a", gpus=("A100",)), Pool("b")], ["a", "b", "b"]),
        ([Pool("h", gpus=("h100",)), Pool("b")], ["b", "h", "h"]),
        ([Pool("one", gpus=("gpu2",)), Pool("b")], ["b", "b", "one"]),
        ([Pool("one", gpus=(MIXED[1].uuid,)), Pool("b")], ["b", "one", "b"]),
        ([Pool("a", gpus=("A100",))], ["a", "default", "spare"]),
    ],
)
def test_a_gpu_is_in_the_pool_that_claims_it_or_in_the_one_that_claims_none(
    pools: list[Pool], expected: list[str]
) -> None:
    assert [one.pool for one in assigned(MIXED, pools)] == expected
