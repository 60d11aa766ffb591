"""What a user gets who installs the wheel."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import pytest

import gpu_workbench_server
from tests.architecture.tree import KERNEL, ROOT, SERVER, files

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PACKAGE = json.loads((ROOT / "package.json").read_text())
DATA = f"{PROJECT['name'].replace('-', '_')}-{PROJECT['version']}.data/data"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Names of all files in a wheel built from this tree (the bundle as it happens to be)."""
    out = tmp_path_factory.mktemp("wheel")
    bundle = Path(PACKAGE["jupyterlab"]["outputDir"])
    (ROOT / bundle).mkdir(exist_ok=True)
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", out],
        cwd=ROOT,
        env={**os.environ, "HATCH_BUILD_NO_HOOKS": "true"},
        check=True,
        capture_output=True,
    )
    (made,) = out.glob("*.whl")
    with zipfile.ZipFile(made) as archive:
        return set(archive.namelist())


def test_the_version_is_the_same_everywhere() -> None:
    assert PROJECT["version"] == PACKAGE["version"] == gpu_workbench_server.__version__


def test_the_wheel_has_every_file_of_both_packages(wheel: set[str]) -> None:
    for package in (SERVER, KERNEL):
        inside = [path for path in files() if path.is_relative_to(package)]
        assert inside
        assert {path.relative_to(package.parent).as_posix() for path in inside} <= wheel


def test_the_wheel_enables_the_server_extension(wheel: set[str]) -> None:
    enabled = json.loads(
        (ROOT / "server_ext/jupyter-config/gpu_workbench_server.json").read_text()
    )["ServerApp"]["jpserver_extensions"]
    assert enabled == {SERVER.name: True}
    assert f"{DATA}/etc/jupyter/jupyter_server_config.d/gpu_workbench_server.json" in wheel


def test_the_wheel_has_the_kernel_spec_and_the_lab_extension(wheel: set[str]) -> None:
    assert f"{DATA}/share/jupyter/kernels/gpu-slice/kernel.json" in wheel
    assert f"{DATA}/share/jupyter/labextensions/{PACKAGE['name']}/install.json" in wheel


def test_no_data_folder_becomes_an_importable_package() -> None:
    # An editable installation puts these on `sys.path`.
    for package in (SERVER, KERNEL):
        others = [p for p in package.parent.iterdir() if p.is_dir() and p != package]
        assert [p.name for p in others if p.name.isidentifier() and p.name[0] != "_"] == []


@pytest.mark.parametrize(
    "entry",
    [e for e in distribution(PROJECT["name"]).entry_points if "gpu_workbench" in e.value],
    ids=lambda entry: entry.name,
)
def test_an_entry_point_leads_somewhere(entry) -> None:
    assert callable(entry.load())
