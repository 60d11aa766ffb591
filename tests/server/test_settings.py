"""Settings: every trait arrives, with help for the docs; limits count in GPU units."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from gpu_workbench_server.app import GpuWorkbenchApp
from gpu_workbench_server.domain.units import PARTS
from gpu_workbench_server.errors import BadConfiguration
from gpu_workbench_server.settings import Settings


def test_every_setting_is_a_trait_with_help_and_the_same_default() -> None:
    app = GpuWorkbenchApp()
    own = {name: trait for name, trait in app.class_own_traits(config=True).items() if trait.help}
    assert {one.name for one in fields(Settings)} == set(own)
    assert app.read_settings() == Settings(data_dir=Path(app.data_dir))
    for name, trait in own.items():
        assert trait.help.endswith("."), name


def test_the_data_directory_is_in_jupyters_own_by_default() -> None:
    assert Path(GpuWorkbenchApp().data_dir).name == "gpu-workbench"


def test_limits_are_given_in_gpu_units_and_counted_in_parts(tmp_path: Path) -> None:
    settings = Settings(
        data_dir=tmp_path, user_limits={"ana": 1.5}, default_user_limit=0.25, group_limits={}
    )
    limits = settings.limits()
    assert limits.user("ana") == PARTS * 3 // 2
    assert limits.user("bo") == PARTS // 4
    assert limits.group("anyone") is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"lease_ttl": 2},
        {"tick_seconds": 0.0},
        {"max_seconds": 0},
        {"default_seconds": 100, "max_seconds": 60},
        {"fractions": (0.0,)},
        {"fractions": (1.0,)},
        {"grace_seconds": -1.0},
        {"default_user_limit": float("nan")},
        {"group_limits": {"lab": -0.5}},
    ],
)
def test_a_setting_that_makes_no_sense_is_refused_with_its_name_and_bounds(
    tmp_path: Path, wrong: dict[str, Any]
) -> None:
    with pytest.raises(BadConfiguration) as refused:
        Settings(data_dir=tmp_path, **wrong)
    assert f"GpuWorkbenchApp.{next(iter(wrong))}" in refused.value.message
    assert "must be" in refused.value.message
    assert refused.value.hint


async def test_limits_from_the_configuration_bind(limited: Any) -> None:
    code, problem = await limited.call("POST", "requests", {"what": "gpu"})
    assert (code, problem["code"]) == (409, "over_limit")
    [quota] = (await limited.call("GET", "status"))[1]["quotas"]
    assert quota["limit"] == 0.5


@pytest.fixture
def limited(settings: dict[str, Any], request: pytest.FixtureRequest) -> Any:
    settings["default_user_limit"] = 0.5
    return request.getfixturevalue("workbench")
