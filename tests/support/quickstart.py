"""Runs the quickstart notebook headless on a server of its own, and checks that nothing is left.

    python -m tests.support.quickstart        # what `python3 dev.py quickstart` calls

The notebook runs in a kernel of a real Jupyter server with simulated (or real) GPUs. Afterwards no
lease may be held and no process of ours may live: that is counted, not assumed.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import nbformat
import psutil
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from .lab import REPOSITORY, LabServer
from .waiting import wait_for

NOTEBOOK = "01-quickstart.ipynb"


def run(server: LabServer, notebook: str = NOTEBOOK) -> nbformat.NotebookNode:
    """Execute a notebook of examples/ against a server; returns it with its outputs."""
    for file in (REPOSITORY / "examples").glob("*"):
        if file.suffix in (".py", ".ipynb"):
            shutil.copy(file, server.notebooks / file.name)
    path = server.notebooks / notebook
    book = nbformat.read(path, as_version=4)
    connection = next(server.runtime_dir.glob("gpu-workbench*.json"))
    client = NotebookClient(
        book, timeout=240, kernel_name="python3", resources={"metadata": {"path": path.parent}}
    )
    env = server.env | {"GPU_WORKBENCH_CONNECTION": str(connection), "JPY_SESSION_NAME": str(path)}
    asyncio.run(client.async_execute(env=env))
    return book


def texts(book: nbformat.NotebookNode) -> str:
    """All that the cells printed or showed, as plain text."""
    found: list[str] = []
    for cell in book.cells:
        for output in cell.get("outputs", []):
            if output.output_type == "stream":
                found.append(output.text)
            elif "data" in output:
                found.append(output.data.get("text/plain", ""))
    return "\n".join(found)


def left_over(server: LabServer) -> list[str]:
    """Live processes of this server's leases, clusters and jobs, by their command lines."""
    found = []
    for process in psutil.process_iter():
        try:
            env = process.environ()
            lease, key = env.get("GPU_WORKBENCH_LEASE", ""), env.get("GPU_WORKBENCH_KEY", "")
            works = lease.strip("0") or key.strip()  # what is kept warm works for nobody
            if env.get("HOME") == server.env["HOME"] and works:
                found.append(f"{process.pid} {' '.join(process.cmdline())[:120]}")
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def nothing_is_held(server: LabServer) -> bool:
    status: dict[str, Any] = server.api("GET", "status")
    return not server.leases() and bool(status["units_free"] == status["units_total"])


def main() -> int:
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="gw-quickstart-") as folder:
        with LabServer(Path(folder)) as server:
            print(f"server up after {time.monotonic() - began:.1f} s; running {NOTEBOOK}")
            try:
                book = run(server)
            except CellExecutionError as error:
                print(error)
                print(server.log_tail())
                return 1
            took = time.monotonic() - began
            print(texts(book))
            wait_for(lambda: nothing_is_held(server), what="every slice free again")
            usage = server.api("GET", "usage")
            rows = [f"{r['purpose']} {r['held_gpu_seconds']:.1f}" for r in usage["rows"]]
            print(f"\nledger, GPU-seconds held: {', '.join(rows)}")
            alive = left_over(server)
        children = psutil.Process().children(recursive=True)
        print(f"notebook done after {took:.1f} s; leases held: 0; processes left: {len(alive)}")
        for line in [*alive, *(str(child) for child in children)]:
            print(f"  still there: {line}")
        return 1 if alive or children else 0


if __name__ == "__main__":
    sys.exit(main())
