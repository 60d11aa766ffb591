"""`%load_ext gpu_workbench`: the cell magics `%%gpu`, `%%gpu_profile`, `%%ranks`, memory caps, and
dataframes of cuDF where the slice is real.

A kernel that was started on a slice loads this at its start (see `kernelspecs`), so loading it must
stay quick and must not fail.
"""

from __future__ import annotations

from typing import Any

from . import rapids
from .attach import apply_memory_caps


def load_ipython_extension(shell: Any) -> None:
    """Called by IPython."""
    apply_memory_caps()
    rapids.set_up()
    shell.register_magic_function(gpu, magic_kind="cell", magic_name="gpu")
    shell.register_magic_function(gpu_profile, magic_kind="cell", magic_name="gpu_profile")
    shell.register_magic_function(ranks, magic_kind="cell", magic_name="ranks")


def gpu(line: str, cell: str) -> None:
    """Run a cell on a slice that is leased for as long as the cell runs.

    `%%gpu 20GB`, `%%gpu 1g.10gb`, `%%gpu 0.25`. Where nothing is free the cell waits; the stop
    button ends the wait. CUDA must not have been started in this kernel before.
    """
    from .leases import request

    with request(line.strip() or "gpu", name="a cell"):
        succeeded = _run(cell)
    if not succeeded:
        raise CellFailed


def gpu_profile(line: str, cell: str) -> None:
    """Say after a cell what it did to its slice: peak memory, use, SM activity, energy, a hint.

    The slice is the kernel's, one that was attached, or that of a `%%gpu 20GB` in the line below.
    What is not known is said to be unknown. Torch's peak counter starts again at the cell.
    """
    from IPython.display import display

    from .client import get_client
    from .profiling import Profiler

    with Profiler(get_client()) as profiler:
        succeeded = _run(cell)
    display(profiler.result)  # type: ignore[no-untyped-call]
    if not succeeded:
        raise CellFailed


def ranks(line: str, cell: str) -> Any:
    """Run a cell on every rank of a job: `%%ranks 2 --per-rank 0.5`; its value is rank 0's."""
    from IPython.core.getipython import get_ipython

    from .ranks import ranks as run

    shell: Any = get_ipython()  # type: ignore[no-untyped-call]
    return run(line, cell, shell.user_ns)


def _run(cell: str) -> bool:
    """Run code as a cell; False where it failed, which it has shown itself."""
    from IPython.core.getipython import get_ipython

    shell: Any = get_ipython()  # type: ignore[no-untyped-call]
    return bool(shell.run_cell(cell, store_history=False).success)


class CellFailed(Exception):
    """The cell under a magic failed; it has shown its own traceback, so this one shows none."""

    def _render_traceback_(self) -> list[str]:
        return []
