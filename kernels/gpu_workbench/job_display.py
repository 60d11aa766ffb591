"""How a job looks: a line of text, a block of HTML with its curve, and one that updates itself.

Pure but for `Live`. The HTML needs no script and no kernel, so a saved notebook stays readable;
colours are JupyterLab's own variables. Everything that a user could have named is escaped.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from html import escape
from typing import Any

from . import protocol as wire

OVER = ("succeeded", "failed", "stopped", "lost")

_MARK = {
    "waiting": "◷", "starting": "…", "running": "▶", "stopping": "…",
    "succeeded": "✓", "failed": "✗", "stopped": "■", "lost": "✗",
}  # fmt: skip
_COLOUR = {"succeeded": "success", "failed": "error", "lost": "error", "running": "brand"}
_LINES = ("brand", "warn", "success", "accent")
_WIDTH, _HEIGHT, _MOST_POINTS = 460, 120, 200


def text(job: wire.Job) -> str:
    """One line: `▶ train (job-1f2e) running · 2 ranks · step 410 · loss 0.123 · 0:42`."""
    words = [f"{_MARK[job.state]} {job.name} ({job.id}) {job.state}", f"{len(job.ranks)} ranks"]
    if job.step is not None:
        words.append(f"step {job.step}")
    words += [f"{name} {value:.4g}" for name, value in list(job.metrics.items())[:4]]
    if job.started_at is not None:
        words.append(elapsed(job))
    line = " · ".join(words)
    return f"{line}\n  {job.message}" if job.message else line


def elapsed(job: wire.Job) -> str:
    """How long it has run: `1:02:03` or `0:42`."""
    if job.started_at is None:
        return ""
    seconds = int(max(0.0, (job.ended_at or time.time()) - job.started_at))
    hours, rest = divmod(seconds, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"


def html(job: wire.Job, points: Sequence[wire.MetricPoint] = ()) -> str:
    """Name, state, message, curves of rank 0, and a row for each rank."""
    colour = f"var(--jp-{_COLOUR.get(job.state, 'ui-font')}-color1)"
    facts = [f"{len(job.ranks)} ranks of {escape(job.per_rank)}"]
    if job.step is not None:
        facts.append(f"step {job.step}")
    if job.started_at is not None:
        facts.append(elapsed(job))
    ranks = "".join(_rank_row(one) for one in job.ranks[:16])
    return (
        f'<div style="font-size:var(--jp-ui-font-size1,13px);max-width:{_WIDTH + 40}px">'
        f"<div><b>{escape(job.name)}</b> <code>{escape(job.id)}</code> "
        f'<span style="color:{colour}">{_MARK[job.state]} {job.state}</span> · '
        f"{' · '.join(facts)}</div>"
        f"<div>{escape(job.message)}</div>{curves(points)}"
        f"<table><tr><th>rank</th><th>slice</th><th>state</th><th>step</th></tr>{ranks}</table>"
        "</div>"
    )


def _rank_row(rank: wire.RankView) -> str:
    code = f" ({rank.exit_code})" if rank.exit_code else ""
    step = "" if rank.step is None else rank.step
    return (
        f"<tr><td>{rank.rank}</td><td>{escape(rank.slice_id or '')}</td>"
        f"<td>{rank.state}{code}</td><td>{step}</td></tr>"
    )


def curves(points: Sequence[wire.MetricPoint]) -> str:
    """A small SVG for each of the first four metrics of rank 0 that has at least two points."""
    series: dict[str, list[tuple[int, float]]] = {}
    for point in points:
        if point.rank == 0:
            for name, value in point.values.items():
                series.setdefault(name, []).append((point.step, value))
    drawn = [(name, line) for name, line in series.items() if len(line) > 1][: len(_LINES)]
    return "".join(
        _curve(name, line, f"var(--jp-{colour}-color1)")
        for (name, line), colour in zip(drawn, _LINES, strict=False)
    )


def _curve(name: str, line: list[tuple[int, float]], colour: str) -> str:
    newest = line[-1]
    line = line[:: max(1, len(line) // _MOST_POINTS)]
    if line[-1] != newest:
        line.append(newest)
    low, high = min(y for _, y in line), max(y for _, y in line)
    first, last = line[0][0], line[-1][0]
    wide, tall = max(1, last - first), (high - low) or 1.0
    path = " ".join(
        f"{(x - first) / wide * _WIDTH:.1f},{_HEIGHT - (y - low) / tall * _HEIGHT:.1f}"
        for x, y in line
    )
    label = f"{name}: {newest[1]:.4g} at step {newest[0]}, between {low:.4g} and {high:.4g}"
    return (
        f'<div>{escape(label)}</div><svg role="img" aria-label="{escape(label, quote=True)}" '
        f'viewBox="-2 -2 {_WIDTH + 4} {_HEIGHT + 4}" style="width:100%;height:auto">'
        f'<polyline points="{path}" fill="none" style="stroke:{colour};stroke-width:1.5"/></svg>'
    )


class Live:
    """Shows a job again and again: one block in a notebook, a line per change elsewhere."""

    def __init__(self) -> None:
        self._handle: Any = None
        self._printed = ""
        self._notebook = in_notebook()

    def show(self, job: wire.Job, points: Sequence[wire.MetricPoint]) -> None:
        line = text(job)
        if not self._notebook:
            if line != self._printed:
                print(line, flush=True)
            self._printed = line
            return
        from IPython import display as ipython

        display: Any = ipython.display  # it has no types

        bundle = {"text/plain": line, "text/html": html(job, points)}
        if self._handle is None:
            self._handle = display(bundle, raw=True, display_id=True)
        else:
            self._handle.update(bundle, raw=True)


def in_notebook() -> bool:
    """Whether a front end shows what this process displays."""
    try:
        from IPython import get_ipython
    except ImportError:
        return False
    return getattr(get_ipython(), "kernel", None) is not None  # type: ignore[no-untyped-call]
