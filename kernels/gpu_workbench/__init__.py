"""GPU slices, clusters and training runs from inside a notebook.

    import gpu_workbench as gw

    gw.status()                       # what is free, what I hold, what I wait for
    lease = gw.request("20GB")        # or "0.25", "1g.10gb", "gpu"; shows position and reason
    lease.release()

Importing this is quick and does nothing: each name is loaded at its first use. It finds the Jupyter
server of its user by itself.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .cluster import cluster, clusters
    from .errors import GpuWorkbenchError
    from .leases import attach, leases, release, request
    from .magics import load_ipython_extension as load_ipython_extension
    from .rapids import rapids_status
    from .reservations import reservations, reserve
    from .resuming import checkpoint_dir, ends_in, resume_from
    from .status import status
    from .sweeping import sweep, sweeps
    from .training import compare, job, jobs, launch, log
    from .usage import usage
    from .widgets.monitor import monitor

__all__ = [
    "GpuWorkbenchError",
    "attach",
    "checkpoint_dir",
    "cluster",
    "clusters",
    "compare",
    "ends_in",
    "job",
    "jobs",
    "launch",
    "leases",
    "log",
    "monitor",
    "rapids_status",
    "release",
    "request",
    "reservations",
    "reserve",
    "resume_from",
    "status",
    "sweep",
    "sweeps",
    "usage",
]

_HOMES = {
    "GpuWorkbenchError": "errors",
    "attach": "leases",
    "checkpoint_dir": "resuming",
    "cluster": "cluster",
    "clusters": "cluster",
    "ends_in": "resuming",
    "compare": "training",
    "job": "training",
    "jobs": "training",
    "launch": "training",
    "leases": "leases",
    "load_ipython_extension": "magics",
    "log": "training",
    "monitor": "widgets.monitor",
    "rapids_status": "rapids",
    "release": "leases",
    "request": "leases",
    "reservations": "reservations",
    "reserve": "reservations",
    "resume_from": "resuming",
    "status": "status",
    "sweep": "sweeping",
    "sweeps": "sweeping",
    "usage": "usage",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{home}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)


class _Notebook(ModuleType):
    """Keeps `gw.cluster` the function: importing a submodule binds its name in the package."""

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in _HOMES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)

    def __reduce__(self) -> tuple[Any, ...]:
        """By name, as any module: a notebook's function that uses `gw` is sent to ranks."""
        return import_module, (self.__name__,)


sys.modules[__name__].__class__ = _Notebook
