"""GPU Workbench's server plugin and broker. `app.py` is where everything is put together."""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    from .app import GpuWorkbenchApp

    return [{"module": "gpu_workbench_server", "app": GpuWorkbenchApp}]


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    return [{"src": "labextension", "dest": "jupyterlab-gpu-workbench"}]
