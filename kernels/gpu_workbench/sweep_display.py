"""How a sweep looks: two lines of text, and a table of its runs with the best one first. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from . import protocol as wire
from .display import block, duration, row
from .job_display import MARK, TONE

_MOST_ROWS = 40
_CELL = "padding:0 14px 0 0;text-align:left"


def said(point: Mapping[str, Any]) -> str:
    """`lr=0.1 width=32`."""
    return " ".join(f"{name}={value}" for name, value in point.items())


def text(now: wire.Sweep) -> str:
    """A line for the sweep, one for the best run."""
    line = f"{now.name} ({now.id}) {now.state} · {_count(now)}"
    if now.best is None:
        return line
    best = now.runs[now.best]
    return f"{line}\n  best: {said(best.params)} · {best.value:.4g} ({best.job_id})"


def _count(now: wire.Sweep) -> str:
    states = [run.state for run in now.runs]
    told = [f"{states.count(state)} {state}" for state in dict.fromkeys(states)]
    return f"{len(states)} runs: {', '.join(told)}"


def html(now: wire.Sweep) -> str:
    """All runs as a table, the best one marked and first."""
    tone = "bad" if any(run.state == "failed" for run in now.runs) else TONE.get(now.state, "free")
    head = row("mine" if now.state == "running" else tone, now.name, now.state, _count(now), now.id)
    names = list(dict.fromkeys(name for run in now.runs for name in run.params))
    titles = ["", *names, now.metric or "value", "step", "time", "state", "job"]
    order = sorted(now.runs, key=lambda run: (run.number != now.best, run.number))
    lines = [_row(run, names, run.number == now.best) for run in order[:_MOST_ROWS]]
    if len(order) > _MOST_ROWS:
        lines.append(f"<tr><td></td><td>and {len(order) - _MOST_ROWS} more</td></tr>")
    header = "".join(f'<th style="{_CELL}">{escape(title)}</th>' for title in titles)
    table = f'<table style="margin-left:13px"><tr>{header}</tr>{"".join(lines)}</table>'
    return block(head, table)


def _row(run: wire.SweepRun, names: Sequence[str], is_best: bool) -> str:
    mark = "★" if is_best else MARK.get(run.state, "·")
    took = "" if run.seconds is None else duration(run.seconds)
    state = run.state if run.state not in ("failed", "refused") else f"{run.state}: {run.message}"
    cells = [
        mark,
        *(str(run.params.get(name, "")) for name in names),
        "" if run.value is None else f"{run.value:.4g}",
        "" if run.step is None else str(run.step),
        took,
        state,
        run.job_id or "",
    ]
    weight = "font-weight:600" if is_best else ""
    told = "".join(f'<td style="{_CELL}">{escape(cell)}</td>' for cell in cells)
    return f'<tr style="{weight}">{told}</tr>'
