"""The policy file of a running server: it binds, its faults are said, its changes are followed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.server.test_degraded import expect_503

GOOD = """\
[users."*"]
limit = 0.5
deserved = 0.25
"""
TYPO = """\
[users."*"]
limmit = 0.5
[pools.default]
fractions = [1.5]
"""


@pytest.fixture
def text() -> str:
    return GOOD


@pytest.fixture
def file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "policy.toml"
    path.write_text(text)
    return path


@pytest.fixture
def under_policy(settings: dict[str, Any], file: Path, request: pytest.FixtureRequest) -> Any:
    settings["policy_file"] = str(file)
    return request.getfixturevalue("workbench")


async def test_its_quotas_bind(under_policy: Any) -> None:
    status, problem = await under_policy.call("POST", "requests", {"what": "gpu"})
    assert (status, problem["code"]) == (409, "over_limit")
    [quota] = (await under_policy.call("GET", "status"))[1]["quotas"]
    assert quota["limit"] == 0.5


@pytest.mark.parametrize("text", [TYPO])
async def test_a_typo_is_named_with_line_and_key_and_jupyter_works(under_policy: Any) -> None:
    problem = await expect_503(under_policy, "bad_configuration")
    assert "policy.toml line 2, key users.*.limmit" in problem["message"]
    assert "did you mean limit?" in problem["message"]
    assert "policy.toml line 4, key pools.default.fractions" in problem["message"]
    assert "docs/admin/policy.md" in problem["hint"]
    assert (await under_policy.fetch("api", "status")).code == 200


async def test_a_change_is_in_force_without_a_restart_and_a_fault_changes_nothing(
    under_policy: Any, file: Path
) -> None:
    async def limit(wanted: float) -> bool:
        [quota] = (await under_policy.call("GET", "status"))[1]["quotas"]
        return bool(quota["limit"] == wanted)

    async def trouble() -> Any:
        return (await under_policy.call("GET", "fleet"))[1]["trouble"]

    assert (await under_policy.call("POST", "requests", {"what": "0.25", "key": "k"}))[0] == 201
    file.write_text(TYPO)
    said = await under_policy.eventually(trouble, "the fault is said")
    assert "line 2, key users.*.limmit" in said["message"]
    assert "the policy before it stays in force" in said["hint"]
    assert await limit(0.5)

    file.write_text(GOOD.replace("limit = 0.5", "limit = 2"))
    await under_policy.eventually(lambda: limit(2.0), "the new limit binds")
    assert await trouble() is None
    assert len((await under_policy.call("GET", "leases"))[1]["leases"]) == 1, "nothing was lost"
    assert (await under_policy.call("POST", "requests", {"what": "gpu"}))[0] == 201
