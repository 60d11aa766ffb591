"""What was found, row by row: a table for people, JSON for `docs/gpu-results.json`."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

Verdict = Literal["ok", "FAIL", "unknown"]

_SMI_FIELDS = ("index", "uuid", "name", "memory.total", "driver_version", "mig.mode.current")


@dataclass(frozen=True)
class Row:
    section: str
    what: str
    verdict: Verdict
    seen: str


class Rows:
    """Collects rows and prints each as it comes."""

    def __init__(self) -> None:
        self.rows: list[Row] = []

    def check(self, section: str, what: str, holds: bool | None, seen: object) -> bool:
        """`holds` None: it can't be told here. Returns whether it holds."""
        verdict: Verdict = "unknown" if holds is None else "ok" if holds else "FAIL"
        row = Row(section, what, verdict, str(seen))
        self.rows.append(row)
        print(f"{row.verdict:8}{row.section:18}{row.what:54}{row.seen}", flush=True)
        return bool(holds)

    @property
    def failed(self) -> int:
        return sum(row.verdict == "FAIL" for row in self.rows)

    def write(self, path: Path, facts: dict[str, Any]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        body = facts | {"rows": [asdict(row) for row in self.rows]}
        path.write_text(json.dumps(body, indent=2) + "\n", encoding="utf-8")


def nvidia_smi() -> list[dict[str, str]] | None:
    """What nvidia-smi says of each GPU; None where it is not there or fails."""
    argv = ["nvidia-smi", f"--query-gpu={','.join(_SMI_FIELDS)}", "--format=csv,noheader,nounits"]
    try:
        run = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return None
    lines = [line.split(", ") for line in run.stdout.splitlines() if line.strip()]
    return [dict(zip(_SMI_FIELDS, line, strict=True)) for line in lines]


def shown_devices() -> set[str] | None:
    """UUIDs of GPUs and MIG instances that `nvidia-smi -L` lists; None where it does not run."""
    try:
        run = subprocess.run(
            ["nvidia-smi", "-L"], capture_output=True, text=True, check=True, timeout=60
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return set(_uuids(run.stdout.splitlines()))


def _uuids(lines: Iterable[str]) -> Iterable[str]:
    for line in lines:
        if "UUID: " in line:
            yield line.split("UUID: ")[1].rstrip(") \n")
