"""RAPIDS on a slice: one notebook source for real and for simulated slices, and what is missing.

Whether cuDF is used is decided by the slice's kind and by what is installed, never by an import:
`import cudf` succeeds without a GPU, takes seconds, and fails at the first operation. So nothing of
RAPIDS is imported here before somebody imports pandas.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module, metadata
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from typing import Any, Literal

from . import protocol as wire
from .display import Rich, block, gigabytes, in_notebook, row

Backend = Literal["cudf", "pandas"]

_PACKAGES = ("cudf", "dask_cuda", "cuml", "cupy", "rmm", "xgboost")
_NEEDED = ("cudf", "dask_cuda")
_SMALLEST_BYTES = 4 << 30
"""Below this the CUDA context and the libraries leave little of a slice for data."""


def backend(environment: Mapping[str, str] | None = None) -> Backend:
    """What dataframes are made of here: "cudf" on a real slice where it is installed."""
    return "cudf" if _on_real_slice(environment) and find_spec("cudf") is not None else "pandas"


def set_up() -> Backend:
    """Let Dask, and pandas where it is not imported yet, use the GPU where there is one."""
    chosen = backend()
    dask = sys.modules.get("dask")
    # Read by Dask when it is imported, also in workers that are started from here.
    os.environ["DASK_DATAFRAME__BACKEND"] = chosen
    if dask is not None:
        dask.config.set({"dataframe.backend": chosen})
    if chosen == "cudf" and "pandas" not in sys.modules:
        sys.meta_path.insert(0, _BeforePandas())
    return chosen


class _BeforePandas(MetaPathFinder):
    """Puts cudf.pandas in pandas' place at the moment when pandas is first imported."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name != "pandas":
            return None
        sys.meta_path.remove(self)
        import_module("cudf.pandas").install()
        return find_spec("pandas")


@dataclass(frozen=True, repr=False)
class RapidsStatus(Rich):
    """What is installed, what the slice is, and what to do."""

    backend: Backend
    installed: dict[str, str]
    """Versions by package."""
    missing: list[str]
    slice: str
    advice: str

    def _text(self) -> str:
        have = ", ".join(f"{name} {version}" for name, version in self.installed.items())
        lines = [f"dataframes: {self.backend} · {self.slice}", f"installed: {have or 'nothing'}"]
        if self.missing:
            lines.append(f"missing: {', '.join(self.missing)}")
        return "\n".join([*lines, self.advice] if self.advice else lines)

    def _html(self) -> str:
        head, *rest = self._text().splitlines()
        return block(
            row("mine" if self.backend == "cudf" else "plain", head, note=" · ".join(rest))
        )


def rapids_status() -> RapidsStatus:
    """What of RAPIDS is installed in this kernel, whether it fits the slice, and what is missing.

    Imports none of it and starts no CUDA.
    """
    installed = {name: found for name in _PACKAGES if (found := _version(name)) is not None}
    missing = [name for name in _NEEDED if name not in installed]
    return RapidsStatus(
        backend=backend(),
        installed=installed,
        missing=missing,
        slice=_slice(),
        advice=_advice(missing),
    )


def install_line(cuda: int) -> str:
    """The exact line for a driver of this CUDA version (13 or 12), for this kernel's environment:
    in a notebook a bare `pip` may be another one's."""
    pip = "%pip" if in_notebook() else "pip"
    return f"{pip} install 'jupyterlab-gpu-workbench[rapids-cu{13 if cuda >= 13 else 12}]'"


def _advice(missing: list[str]) -> str:
    if not os.environ.get(wire.LEASE_ENV):
        return 'This kernel holds no slice: gw.request("20GB"), or a notebook on a GPU slice.'
    if not _on_real_slice():
        return "The slice is simulated: pandas computes, and the same source runs on a real one."
    if missing:
        return f"{install_line(_driver_cuda())}   (3 GB to download, 5 GB on disk), then restart."
    if int(os.environ.get(wire.MEMORY_ENV, "0")) < _SMALLEST_BYTES:
        return "The slice is small for cuDF: take one of 5 GB or more."
    return ""


def _slice() -> str:
    if not os.environ.get(wire.LEASE_ENV):
        return "no slice"
    kind = "slice" if _on_real_slice() else "simulated slice"
    return f"{kind} of {gigabytes(int(os.environ.get(wire.MEMORY_ENV, '0')))}"


def _on_real_slice(environment: Mapping[str, str] | None = None) -> bool:
    found = os.environ if environment is None else environment
    return bool(found.get(wire.LEASE_ENV)) and found.get(wire.SIMULATED_ENV) != "1"


def _version(name: str) -> str | None:
    """Of an importable package; distributions of RAPIDS carry their CUDA version in their name."""
    if find_spec(name) is None:
        return None
    for distribution in metadata.packages_distributions().get(name, [name]):
        try:
            return metadata.version(distribution)
        except metadata.PackageNotFoundError:
            continue
    return "of unknown version"


def _driver_cuda() -> int:
    """The CUDA version that the driver can do; 12 where it does not tell."""
    try:
        import pynvml

        pynvml.nvmlInit()
        return int(pynvml.nvmlSystemGetCudaDriverVersion_v2()) // 1000
    except Exception:  # NVML fails in many ways, none of which matters here
        return 12
