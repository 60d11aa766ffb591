"""What a holder inherits of its server's environment, and what it does not."""

from __future__ import annotations

import pytest

from gpu_workbench_server.domain.environment import environment_for_holder


@pytest.mark.parametrize(
    "name",
    [
        "LD_PRELOAD",
        "LD_AUDIT",
        "PYTHONPATH",
        "PYTHONHOME",
        "JUPYTERHUB_API_TOKEN",
        "JPY_API_TOKEN",
        "JPY_SESSION_NAME",
        "JUPYTER_TOKEN",
        "CUDA_VISIBLE_DEVICES",
        "GPU_WORKBENCH_LEASE",
        "GPU_WORKBENCH_SLICES",
        "GPU_WORKBENCH_KEY",
        "GPU_WORKBENCH_SIMULATED",
        "GPU_WORKBENCH_RUN",
    ],
)
def test_secrets_loader_tricks_and_another_leases_tags_stay_behind(name: str) -> None:
    assert name not in environment_for_holder({name: "x"})


@pytest.mark.parametrize(
    "name",
    ["PATH", "HOME", "LD_LIBRARY_PATH", "GPU_WORKBENCH_CONNECTION", "GPU_WORKBENCH_BROKER"],
)
def test_what_it_needs_to_run_and_to_find_its_server_comes_along(name: str) -> None:
    assert environment_for_holder({name: "x"})[name] == "x"


def test_its_tags_can_not_be_written_over_by_a_process_title() -> None:
    assert environment_for_holder({})["SPT_NOENV"] == "1"


def test_filtering_twice_changes_nothing() -> None:
    once = environment_for_holder({"PATH": "/bin", "LD_PRELOAD": "x"})
    assert environment_for_holder(once) == once
