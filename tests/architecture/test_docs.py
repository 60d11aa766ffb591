"""What somebody can call, set or read is in a reference page, and the pages are up to date."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

import gpu_workbench
from gpu_workbench.protocol import Fleet
from gpu_workbench.provisioner import SliceProvisioner
from gpu_workbench_server.app import GpuWorkbenchApp
from gpu_workbench_server.cli import COMMANDS
from gpu_workbench_server.errors import all_errors
from gpu_workbench_server.observe.metrics import Metrics, Sources
from gpu_workbench_server.web.routes import LIVE_PATH, OPENAPI_PATH, ROUTES
from tests.architecture.tree import KERNEL, ROOT, files, relative, text

REFERENCE = ROOT / "docs/reference"
LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#\s]+)")


def mentioned(page: str) -> set[str]:
    """Everything that a reference page has between backticks."""
    return set(re.findall(r"`([^`\n]+)`", (REFERENCE / page).read_text()))


def sources(folder: str, *suffixes: str) -> str:
    return "\n".join(text(p) or "" for p in files(*suffixes) if relative(p).startswith(folder))


def test_the_reference_pages_are_what_the_code_says_today() -> None:
    made = subprocess.run(
        [sys.executable, "docs/generate", "--check"], cwd=ROOT, capture_output=True, text=True
    )
    assert made.returncode == 0, made.stdout + made.stderr


def test_every_route_is_in_the_reference() -> None:
    routes = {f"{route.method} {route.path}" for route in ROUTES}
    assert routes | {f"GET {OPENAPI_PATH}", f"GET {LIVE_PATH}"} <= mentioned("rest.md")


def test_every_route_is_in_the_openapi_document() -> None:
    paths = json.loads((REFERENCE / "openapi.json").read_text())["paths"]
    described = {(method.upper(), path) for path, methods in paths.items() for method in methods}
    assert {(route.method, route.path) for route in ROUTES} <= described


def test_every_error_code_is_in_the_reference() -> None:
    assert {error.code for error in all_errors()} <= mentioned("errors.md")


@pytest.mark.parametrize("configurable", [GpuWorkbenchApp, SliceProvisioner])
def test_every_setting_of_the_server_is_in_the_reference(configurable) -> None:
    own = configurable.class_own_traits(config=True)
    assert own
    assert {f"{configurable.__name__}.{name}" for name in own} <= mentioned("settings.md")


def test_every_setting_of_jupyterlab_is_in_the_reference() -> None:
    schema = json.loads((ROOT / "labext/schema/plugin.json").read_text())
    assert set(schema["properties"]) <= mentioned("settings.md")


def test_every_environment_variable_is_in_the_reference() -> None:
    # As string constants, wherever they stand; prose about them does not count.
    named = re.findall(r'"(GPU_WORKBENCH_[A-Z_]+)"', sources("server_ext/", ".py"))
    named += re.findall(r'"(GPU_WORKBENCH_[A-Z_]+)"', sources(relative(KERNEL), ".py"))
    assert set(named) <= mentioned("settings.md")


def test_every_command_of_jupyterlab_is_in_the_reference() -> None:
    tokens = (ROOT / "labext/src/tokens.ts").read_text()
    ids = re.findall(r"'(gpu-workbench:[\w-]+)'", tokens)
    assert ids
    assert set(ids) <= mentioned("commands.md")


def test_every_name_that_a_notebook_uses_is_in_the_reference() -> None:
    assert {f"gw.{name}" for name in gpu_workbench.__all__} <= mentioned("commands.md")


def test_every_command_of_the_command_line_is_in_the_reference() -> None:
    assert {f"gpu-workbench {command.name}" for command in COMMANDS} <= mentioned("commands.md")


def test_every_metric_is_in_the_reference() -> None:
    exported = {family.name for family in Metrics(nothing()).registry.collect()}
    assert exported
    named = mentioned("metrics.md")
    assert exported <= named | {name.removesuffix("_total") for name in named}  # of counters


def nothing() -> Sources:
    """Sources of metrics where there is nothing to see."""
    fleet = Fleet(gpus=[], pools=[], simulated=True, units_total=0, units_free=0)
    return Sources(
        fleet=lambda: fleet,
        leases=lambda: [],
        requests=lambda: [],
        sample=lambda: None,
        strangers=dict,
        now=lambda: 0.0,
    )


@pytest.mark.parametrize(
    "page", [p for p in files(".md") if relative(p).startswith(("docs/", "README"))], ids=relative
)
def test_a_page_links_only_to_what_is_there(page) -> None:
    links = LINK.findall(text(page) or "")
    assert [link for link in links if not (page.parent / link).exists()] == []
