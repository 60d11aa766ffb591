"""Metrics of jobs for a notebook: rows for a data frame, the GPUs' use beside, comparisons."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Sequence
from html import escape
from typing import Any

from . import protocol as wire
from .client import Client
from .curves import COLOURS, Line, drawing, row
from .display import Rich, block
from .errors import GpuWorkbenchError

_POLL_SECONDS = 0.5
_MOST_ROWS = 2000
"""Points of a history that one drawing needs."""


class Rows(list[dict[str, Any]]):
    """Dictionaries of the same names: `pandas.DataFrame(rows)`, `polars.DataFrame(rows)`."""

    def __repr__(self) -> str:
        names = list(dict.fromkeys(name for one in self for name in one))
        return f"<{len(self)} rows of {', '.join(names)}; pandas.DataFrame(…) takes them>"


def rows(points: Sequence[wire.MetricPoint]) -> Rows:
    """`{"rank": 0, "step": 3, "time": 1.7e9, "loss": 0.5}`, one for each call of a logger."""
    return Rows(
        {"rank": one.rank, "step": one.step, "time": one.time, **one.values} for one in points
    )


def gpu_use(client: Client, job: wire.Job) -> Rows:
    """`{"time": …, "rank": 0, "activity": 0.93, "memory_bytes": …}` over the run's time.

    Both are None where the device does not tell. Empty where the run's lease is forgotten: a day
    after its end.
    """
    if job.lease_id is None or job.started_at is None:
        return Rows()
    end = "" if job.ended_at is None else f"&to={job.ended_at}"
    path = (
        f"telemetry/history?subject=lease:{job.lease_id}&from={job.started_at}{end}"
        f"&points={_MOST_ROWS}&metrics=activity,memory_bytes&extremes=false"
    )
    try:
        past = client.call("GET", path, returns=wire.History)
    except GpuWorkbenchError:
        return Rows()
    ranks = {one.slice_id: one.rank for one in job.ranks}
    found: dict[tuple[int, float], dict[str, Any]] = {}
    for series in past.series:
        rank = ranks.get(series.subject)
        for moment, value in zip(past.times, series.mean, strict=False):
            if rank is not None and value is not None:
                empty = {"time": moment, "rank": rank, "activity": None, "memory_bytes": None}
                found.setdefault((rank, moment), empty)[series.metric] = value
    return Rows(found[key] for key in sorted(found))


def gpu_line(
    points: Sequence[wire.MetricPoint], use: Sequence[dict[str, Any]]
) -> list[tuple[float, float]]:
    """(step, activity) of rank 0's slice, so that it stands beside the loss, step under step."""
    mine = sorted((one.time, one.step) for one in points if one.rank == 0)
    times = [moment for moment, _ in mine]
    line = []
    for one in use:
        if one["rank"] == 0 and one["activity"] is not None and times:
            at = bisect_left(times, one["time"])
            if 0 < at < len(times):
                line.append((float(mine[at][1]), float(one["activity"])))
    return line


class Link(Rich):
    """A page of the Jupyter server; `url` is its full address."""

    def __init__(self, text: str, url: str) -> None:
        self.text, self.url = text, url

    def _text(self) -> str:
        return f"{self.text}: {self.url}"

    def _html(self) -> str:
        where = escape(self.url, quote=True)
        return block(f'<a href="{where}" target="_blank" rel="noopener">{escape(self.text)}</a>')


def tensorboard(client: Client, job_id: str, timeout: float) -> Link:
    """Start it and wait until its pages are there. Raises `TimeoutError`."""
    deadline = time.monotonic() + timeout
    while True:
        board = client.call("POST", f"jobs/{job_id}/tensorboard", returns=wire.Board)
        if board.ready:
            return Link(f"TensorBoard on {job_id}", f"{client.url.rstrip('/')}{board.path}")
        if time.monotonic() > deadline:
            raise TimeoutError(f"TensorBoard on {job_id} is not there after {timeout:g} s")
        time.sleep(_POLL_SECONDS)


# --- several jobs -------------------------------------------------------------------------------


def series(points: Sequence[wire.MetricPoint], metric: str) -> list[tuple[float, float]]:
    """(step, value) of rank 0, or of the lowest rank that has it."""
    ranks = [one.rank for one in points if metric in one.values]
    first = min(ranks, default=0)
    return [
        (float(one.step), one.values[metric])
        for one in points
        if one.rank == first and metric in one.values
    ]


class Comparison(Rich):
    """One metric of several jobs, drawn together; `rows` for a data frame."""

    def __init__(self, metric: str, lines: Sequence[tuple[wire.Job, list[tuple[float, float]]]]):
        self.metric = metric
        self._lines = lines

    @property
    def rows(self) -> Rows:
        """`{"job": "job-1f2e", "name": "train", "step": 3, "loss": 0.5}`."""
        return Rows(
            {"job": job.id, "name": job.name, "step": int(step), self.metric: value}
            for job, line in self._lines
            for step, value in line
        )

    def _text(self) -> str:
        return "\n".join(self._told())

    def _told(self) -> list[str]:
        told = []
        for job, line in self._lines:
            values = [value for _, value in line]
            said = f"no {self.metric}"
            if values:
                said = (
                    f"{self.metric} {values[-1]:.4g} at step {line[-1][0]:.0f}, "
                    f"from {min(values):.4g} to {max(values):.4g}"
                )
            pace = f", {1 / job.step_seconds:.3g} steps/s" if job.step_seconds else ""
            told.append(f"{job.name} ({job.id}) {job.state}: {said}{pace}")
        return told

    def _html(self) -> str:
        lines = [
            Line(f"{job.name} ({job.id})", line, COLOURS[number % len(COLOURS)])
            for number, (job, line) in enumerate(self._lines)
            if len(line) > 1
        ]
        drawn = row(drawing(self.metric, lines, wide=620, tall=180)) if lines else ""
        return block(drawn, "<br>".join(escape(one) for one in self._told()))
