"""Traces in: openb pods and nodes, Muri job lists, and our own ledger as `usage` prints it.

Each reader says in the trace's notes what it left out or assumed. Knows files, not the broker.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from ..domain.fleet import Gpu
from ..domain.mig import COMPUTE_SLICES
from ..errors import BadRequest
from .jobs import Job, Trace

GB = 10**9
OPENB_NODES = "openb_node_list_gpu_node.csv"
_MEMORY_GB = {"P100": 16, "T4": 16, "V100M16": 16, "V100M32": 32, "A10": 24}
MURI_OVERHEAD = 1.015
"""Muri's simulator makes each iteration so much longer than it was measured."""
MURI_NODES, MURI_GPUS = 8, 8

Row = Mapping[str, str]
R = TypeVar("R")
T = TypeVar("T")


def nodes(count: int, gpus: int, memory_gb: float = 80, model: str = "GPU") -> tuple[Gpu, ...]:
    """A plain fleet of equal nodes."""
    return tuple(
        _gpu(f"node-{node:04}", index, model, memory_gb)
        for node in range(count)
        for index in range(gpus)
    )


def _gpu(node: str, index: int, model: str, memory_gb: float) -> Gpu:
    return Gpu(
        uuid=f"GPU-{node}-{index}",
        index=index,
        model=model,
        memory_bytes=int(memory_gb * GB),
        memory_gb=memory_gb,
        node=node,
        simulated=True,
    )


def read_muri(path: Path, gpus: Sequence[Gpu] = ()) -> Trace:
    """A job list of the Muri artifact: milliseconds, GPUs, iterations × time of one."""

    def job(number: int, row: Row) -> Job:
        count = int(row["num_gpu"])
        one = int(row["iteration_time"]) * MURI_OVERHEAD / 1000
        return Job(
            id=number,
            user="philly",
            submitted=int(row["submit_time"]) / 1000,
            seconds=int(row["iterations"]) * one,
            gpus=count,
            kind=row["model_name"],
            same_node=count <= MURI_GPUS,
        )

    wide = "Jobs of more than 8 GPUs may take any free ones; Muri gives them whole nodes."
    fleet = tuple(gpus) or nodes(MURI_NODES, MURI_GPUS)
    return Trace(path.stem, _in_order(_jobs(path, job)), fleet, (wide,))


def read_openb(path: Path, gpus: Sequence[Gpu] = ()) -> Trace:
    """A pod list of Alibaba's cluster-trace-gpu-v2023, with its node list beside it."""
    bound = 0

    def job(number: int, row: Row) -> Job | None:
        nonlocal bound
        count = int(row["num_gpu"])
        if count == 0:
            return None
        came = float(row["creation_time"])
        began = float(row["scheduled_time"] or came)
        models = tuple(filter(None, (row.get("gpu_spec") or "").split("|")))
        bound += bool(models)
        return Job(
            id=number,
            user=row.get("qos") or "openb",
            submitted=came,
            seconds=max(1.0, float(row["deletion_time"]) - began),
            gpus=count,
            share=int(row["gpu_milli"]) / 1000 if count == 1 else 1.0,
            models=models,
            same_node=True,
        )

    rows = _jobs(path, job)
    if not gpus:
        gpus = read_openb_nodes(path.parent / OPENB_NODES)
    without = sum(1 for _ in _rows(path)) - len(rows)
    notes = ["Users are the trace's service classes; CPUs and memory of hosts are not looked at."]
    if without:
        notes.append(f"{without} pods without a GPU are left out.")
    if bound:
        notes.append(f"{bound} pods insist on GPU models; here they take any.")
    return Trace(path.stem, _in_order(rows), tuple(gpus), tuple(notes))


def read_openb_nodes(path: Path) -> tuple[Gpu, ...]:
    """A node list of that trace: sn, cpu_milli, memory_mib, gpu, model."""

    def gpus(_: int, row: Row) -> list[Gpu]:
        memory = _MEMORY_GB.get(row["model"], 32)
        return [_gpu(row["sn"], i, row["model"], memory) for i in range(int(row["gpu"]))]

    return tuple(gpu for found in _each(path, gpus) for gpu in found)


def read_ledger(path: Path, gpus: Sequence[Gpu] = ()) -> Trace:
    """Our own ledger, as `gpu-workbench usage --csv` or `--json` writes it.

    `requested_at`, `declared_seconds` and `group` are used where they are there.
    """
    notes: set[str] = set()

    def job(number: int, row: Mapping[str, Any]) -> Job | None:
        began, until = float(row["granted_at"]), float(row["until"])
        seconds = until - began
        if seconds <= 0:
            return None
        if not row.get("requested_at"):
            notes.add("The ledger has no time of request: each counts as asked for at its grant.")
        units = float(row["held_gpu_seconds"]) / seconds
        declared = row.get("declared_seconds")
        return Job(
            id=number,
            user=row["user"],
            submitted=float(row.get("requested_at") or began),
            seconds=seconds,
            gpus=max(1, round(units / _units(row["profile"]))),
            share=min(1.0, _units(row["profile"])),
            declared=float(declared) if declared else None,
            group=row.get("group") or None,
            kind=row["purpose"],
            what=row["profile"],
        )

    if path.suffix == ".json":
        rows = _checked(path, enumerate(_json_rows(path), 1), job, "row")
        found = [one for one in rows if one is not None]
    else:
        found = _jobs(path, job)
    return Trace(path.stem, _in_order(found), tuple(gpus), tuple(sorted(notes)))


FORMATS: dict[str, Callable[[Path, Sequence[Gpu]], Trace]] = {
    "openb": read_openb,
    "muri": read_muri,
    "ledger": read_ledger,
}


def _units(profile: str) -> float:
    """GPU units of one slice of a profile, from its name."""
    if profile == "whole":
        return 1.0
    if profile.startswith("fraction-"):
        return float(profile.removeprefix("fraction-"))
    return int(profile.removeprefix("mig-").partition("g")[0]) / COMPUTE_SLICES


def _in_order(jobs: Iterable[Job]) -> tuple[Job, ...]:
    return tuple(sorted(jobs, key=lambda job: (job.submitted, job.id)))


def _jobs(path: Path, job: Callable[[int, Row], Job | None]) -> list[Job]:
    return [one for one in _each(path, job) if one is not None]


def _each(path: Path, make: Callable[[int, Row], T]) -> list[T]:
    return _checked(path, enumerate(_rows(path), 2), make, "line")


def _checked(
    path: Path, rows: Iterable[tuple[int, R]], make: Callable[[int, R], T], unit: str
) -> list[T]:
    """What `make` makes of each row, numbered from 1; `BadRequest` names the row that is wrong."""
    found = []
    number = 0
    for number, (at, row) in enumerate(rows, 1):
        try:
            found.append(make(number, row))
        except KeyError as error:
            raise BadRequest(
                f"{path.name} {unit} {at}: there is no column {error.args[0]}.",
                "Is it the format that --format names?",
            ) from None
        except (ValueError, TypeError) as error:
            raise BadRequest(f"{path.name} {unit} {at}: {error}.") from None
    if not number:
        raise BadRequest(f"{path.name} has no rows.", "Is it the right file?")
    return found


def _rows(path: Path) -> Iterable[Row]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            yield from csv.DictReader(file)
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise BadRequest(f"{path} can't be read: {why}.") from None


def _json_rows(path: Path) -> list[dict[str, Any]]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadRequest(f"{path} can't be read: {error.strerror}.") from None
    except ValueError as error:
        raise BadRequest(f"{path.name} is not JSON: {error}.") from None
    rows = data.get("rows") if isinstance(data, dict) else data
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise BadRequest(f"{path.name} has no rows of a ledger.", "Use `usage --json`.")
    return rows
