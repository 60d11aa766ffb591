"""`%load_ext gpu_workbench`: the cell magic `%%gpu`, and memory caps on a fraction of a GPU.

A kernel that was started on a slice loads this at its start (see `kernelspecs`), so loading it must
stay quick and must not fail.
"""

from __future__ import annotations

from typing import Any

from .attach import apply_memory_caps


def load_ipython_extension(shell: Any) -> None:
    """Called by IPython."""
    apply_memory_caps()
    shell.register_magic_function(gpu, magic_kind="cell", magic_name="gpu")


def gpu(line: str, cell: str) -> None:
    """Run a cell on a slice that is leased for as long as the cell runs.

    `%%gpu 20GB`, `%%gpu 1g.10gb`, `%%gpu 0.25`. Where nothing is free the cell waits; the stop
    button ends the wait. CUDA must not have been started in this kernel before.
    """
    from IPython.core.getipython import get_ipython

    from .leases import request

    shell: Any = get_ipython()  # type: ignore[no-untyped-call]
    with request(line.strip() or "gpu", name="a cell"):
        result = shell.run_cell(cell, store_history=False)
    if not result.success:
        raise CellFailed


class CellFailed(Exception):
    """The cell under `%%gpu` failed; it has shown its own traceback, so this one shows none."""

    def _render_traceback_(self) -> list[str]:
        return []
