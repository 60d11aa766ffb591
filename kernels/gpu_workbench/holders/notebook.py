"""A notebook run as a job: executed cell by cell on a rank's slice, and kept with its outputs.

The kernel is a child of the rank and has its environment, so it sees the rank's slice and `gw.log`
works in it. It is a plain kernel of the same Python, whatever the notebook's own kernel was: one
that asks for a slice would ask for a second one.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

_KERNEL = "python3"
_AS_A_RANK = "from gpu_workbench.holders import hooks; hooks.install_here(); del hooks"
"""Its loggers, its optimizer's steps and its rendezvous are those of a rank."""
_FIRST_LINE = 70


class CellFailed(Exception):
    """A cell raised; `record` is what `error.json` says of it."""

    def __init__(self, record: dict[str, Any]) -> None:
        super().__init__(f"{record['type']}: {record['message']}")
        self.record = record


def run_notebook(source: Path, output: Path) -> None:
    """Execute `source` and write it with its outputs to `output`, also where a cell raises.

    Prints one line a cell. Raises `CellFailed`, and `ImportError` where nbclient is not installed.
    """
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    files: Any = nbformat  # it has no types
    notebook = files.read(source, as_version=4)
    total = len(notebook.cells)
    at = 0

    def begin(cell: Any, cell_index: int) -> None:
        nonlocal at
        at = cell_index + 1
        line = next((line for line in cell.source.splitlines() if line.strip()), "")
        print(f"[{at}/{total}] {line[:_FIRST_LINE]}", flush=True)

    def show(cell: Any, cell_index: int, execute_reply: Any) -> None:
        for one in cell.get("outputs", []):
            text = one.get("text") if one.output_type == "stream" else None
            if text:
                print(text, end="" if text.endswith("\n") else "\n", flush=True)

    client = NotebookClient(
        notebook,
        timeout=None,
        kernel_name=_KERNEL,
        extra_arguments=[f"--IPKernelApp.exec_lines={_AS_A_RANK}"],
        resources={"metadata": {"path": str(Path.cwd())}},
        on_cell_execute=begin,
        on_cell_executed=show,
    )
    try:
        asyncio.run(client.async_execute())
    except CellExecutionError as error:
        raise CellFailed(_record(error, at)) from None
    finally:
        files.write(notebook, output)
        print(f"The notebook with its outputs: {output}", flush=True)


def _record(error: Any, cell: int) -> dict[str, Any]:
    return {
        "type": error.ename,
        "message": error.evalue,
        "where": f"cell {cell}",
        "traceback": error.traceback,
        "module": None,
        "time": time.time(),
    }
