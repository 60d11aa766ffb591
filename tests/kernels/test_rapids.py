"""One source on both kinds of slice: what is chosen, and what is said to be missing.

cuDF itself is gigabytes and needs a GPU: its place is taken by a package of the same name that
keeps the same promises (it can be imported without a GPU, and `cudf.pandas.install` comes first).
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

REAL = {"GPU_WORKBENCH_LEASE": "7", "GPU_WORKBENCH_MEMORY_BYTES": str(20 << 30)}
SIMULATED = REAL | {"GPU_WORKBENCH_SIMULATED": "1"}
NONE: dict[str, str] = {}


@pytest.fixture
def cudf(tmp_path: Path) -> Path:
    """A directory with a package `cudf` in it, as far as we use it."""
    package = tmp_path / "cudf"
    (package / "pandas").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "pandas" / "__init__.py").write_text(
        "import sys\ndef install():\n"
        "    assert 'pandas' not in sys.modules, 'too late'\n    print('cudf.pandas installed')\n"
    )
    (tmp_path / "dask_cuda").mkdir()
    (tmp_path / "dask_cuda" / "__init__.py").write_text("raise ImportError('not to be imported')")
    return tmp_path


def python(code: str, environment: dict[str, str], *paths: Path) -> str:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("GPU_WORKBENCH", "DASK_"))}
    path = os.pathsep.join([*map(str, paths), os.environ.get("PYTHONPATH", "")]).strip(os.pathsep)
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=kept | environment | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


BACKEND = """
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
shell.run_line_magic("load_ext", "gpu_workbench")
import sys
assert not {"pandas", "dask", "cudf"} & set(sys.modules), "loading it stays quick"
import pandas, dask
print(dask.config.get("dataframe.backend"), pandas.Series([1, 2]).sum())
"""


def test_on_a_real_slice_with_cudf_dataframes_are_cudfs(cudf: Path) -> None:
    told = python(BACKEND, REAL, cudf)
    assert told.split() == ["cudf.pandas", "installed", "cudf", "3"]


@pytest.mark.parametrize("environment", [SIMULATED, NONE], ids=["simulated", "no slice"])
def test_elsewhere_they_are_pandas_though_cudf_could_be_imported(
    environment: dict[str, str], cudf: Path
) -> None:
    assert python(BACKEND, environment, cudf).split() == ["pandas", "3"]


def test_without_cudf_they_are_pandas_on_a_real_slice_too() -> None:
    assert python(BACKEND, REAL).split() == ["pandas", "3"]


def test_dask_that_is_imported_already_is_told(cudf: Path) -> None:
    code = """
import dask, gpu_workbench.rapids as rapids
assert rapids.set_up() == "cudf"
print(dask.config.get("dataframe.backend"))
"""
    assert python(code, REAL, cudf).split() == ["cudf"]


@pytest.mark.parametrize(
    ("environment", "with_cudf", "says"),
    [
        (NONE, False, "holds no slice"),
        (SIMULATED, False, "simulated slice of 20 GB"),
        (REAL, False, "pip install 'jupyterlab-gpu-workbench[rapids-cu12]'"),
        (REAL, True, "dataframes: cudf · slice of 20 GB"),
        (REAL | {"GPU_WORKBENCH_MEMORY_BYTES": str(3 << 30)}, True, "of 5 GB or more"),
    ],
)
def test_the_status_says_what_there_is_and_what_to_do(
    environment: dict[str, str], with_cudf: bool, says: str, cudf: Path
) -> None:
    code = """
import sys, gpu_workbench as gw
print(gw.rapids_status())
assert "<" in gw.rapids_status()._repr_html_()
assert not {"cudf", "cupy", "dask_cuda"} & set(sys.modules), "it imports nothing of RAPIDS"
"""
    told: Any = python(code, environment, *([cudf] if with_cudf else []))
    assert says in told
    assert ("missing: cudf, dask_cuda" in told) == (not with_cudf)


def test_the_install_line_is_for_the_drivers_cuda() -> None:
    from gpu_workbench.rapids import install_line

    assert "rapids-cu13" in install_line(13) and "rapids-cu12" in install_line(12)


def test_in_a_notebook_the_line_is_for_the_kernels_own_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from gpu_workbench import rapids

    monkeypatch.setattr(rapids, "in_notebook", lambda: True)
    assert rapids.install_line(12) == "%pip install 'jupyterlab-gpu-workbench[rapids-cu12]'"
