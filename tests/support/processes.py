"""The processes that a server has started, found by their environments: also those of parents that
have died since."""

from __future__ import annotations

import psutil

from .lab import LabServer


def started_by(lab: LabServer, kind: str = "") -> list[psutil.Process]:
    """What lives of this server's clusters ("cluster") or jobs ("job"), or of all that has a lease;
    not what it keeps warm for the next."""
    found = []
    for process in psutil.process_iter():
        try:
            environment = process.environ()
            alive = process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            continue
        lease = environment.get("GPU_WORKBENCH_LEASE", "").strip("0")
        key = environment.get("GPU_WORKBENCH_KEY", "").strip()
        wanted = key.startswith(f"{kind}-") if kind else lease or key
        if alive and wanted and environment.get("HOME") == lab.env["HOME"]:
            found.append(process)
    return found
