"""The Jupyter server's kernels, as the reaper wants to see them.

Called from the reaper's thread: it copies what the kernel manager knows and starts nothing there.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

from ..services.reaper import KernelFacts

log = logging.getLogger(__name__)

SESSION_NAME = "JPY_SESSION_NAME"


class JupyterKernels:
    """Implements `services.reaper.KernelSource` over the server's kernel manager."""

    def __init__(self, manager: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._manager = manager
        self._loop = loop
        self._names: dict[int, str] = {}

    def kernels(self) -> Sequence[KernelFacts]:
        """All that run now; one that ends while we look is left out."""
        found = []
        for kernel_id in list(self._manager.list_kernel_ids()):
            try:
                kernel = self._manager.get_kernel(kernel_id)
            except Exception:  # gone meanwhile; the manager raises an HTTP error for that
                continue
            pid = getattr(kernel.provisioner, "pid", None)
            last = getattr(kernel, "last_activity", None)
            found.append(
                KernelFacts(
                    id=kernel_id,
                    pid=pid,
                    name=self._name(pid),
                    busy=getattr(kernel, "execution_state", "") == "busy",
                    last_activity=last.timestamp() if last is not None else 0.0,
                )
            )
        self._names = {one.pid: one.name for one in found if one.pid is not None}
        return found

    def stop(self, kernel_id: str) -> None:
        """Shut it down, gracefully first; returns at once."""
        asyncio.run_coroutine_threadsafe(self._stop(kernel_id), self._loop)

    async def _stop(self, kernel_id: str) -> None:
        try:
            if kernel_id in self._manager:
                await self._manager.shutdown_kernel(kernel_id)
        except Exception:
            log.exception("GPU Workbench: kernel %s could not be stopped", kernel_id)

    def _name(self, pid: int | None) -> str:
        """The notebook's path, which Jupyter puts into the kernel's environment."""
        if pid is None:
            return ""
        if pid not in self._names:
            import psutil

            try:
                self._names[pid] = psutil.Process(pid).environ().get(SESSION_NAME, "")
            except psutil.Error:
                return ""
        return self._names[pid]
