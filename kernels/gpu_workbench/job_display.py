"""How a job looks: a line of text, and a block of HTML with the curves of rank 0.

Pure. The HTML needs no script and no kernel, so a saved notebook stays readable. Everything that a
user could have named is escaped.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from html import escape

from . import protocol as wire
from .display import Tone, block, duration, row

OVER = ("succeeded", "failed", "stopped", "lost")

_MARK = {
    "waiting": "◷", "starting": "…", "running": "▶", "stopping": "…",
    "succeeded": "✓", "failed": "✗", "stopped": "■", "lost": "✗",
}  # fmt: skip
_TONE: dict[str, Tone] = {
    "running": "mine", "succeeded": "free", "failed": "bad", "lost": "bad",
    "waiting": "wait", "starting": "wait", "stopping": "wait", "stopped": "plain",
}  # fmt: skip
_LINES = (
    "var(--jp-brand-color1,#2f80d0)",
    "var(--jp-warn-color1,#c98a1b)",
    "var(--jp-success-color1,#2f9e62)",
    "var(--jp-accent-color1,#8e5bb5)",
)
_GREY = "var(--jp-ui-font-color2,#808890)"
_RULE = "var(--jp-border-color2,#d0d4d8)"
_FIGURES = "display:flex;flex-wrap:wrap;gap:4px 20px;margin-left:13px"
_PRE = "margin:4px 0 0 13px;font-size:var(--jp-code-font-size,12px);white-space:pre-wrap"
_MOST_COLUMNS = 200
_WIDTH, _HEIGHT, _MOST_POINTS, _MOST_RANKS = 300, 90, 150, 16


def text(job: wire.Job) -> str:
    """`▶ train (job-1f2e) running · 2 ranks · step 410 · loss 0.123 · 0:42`, and its message."""
    line = " · ".join([f"{_MARK[job.state]} {job.name} ({job.id}) {job.state}", *_facts(job)])
    hint = job.cause.hint if job.cause else ""
    return "\n  ".join(filter(None, (line, job.message, hint)))


def _facts(job: wire.Job) -> list[str]:
    facts = [_ranks(job)]
    if job.step is not None:
        facts.append(f"step {job.step}")
    facts += [f"{name} {value:.4g}" for name, value in list(job.metrics.items())[:4]]
    if job.started_at is not None:
        facts.append(duration((job.ended_at or time.time()) - job.started_at))
    return facts


def _ranks(job: wire.Job) -> str:
    return f"{len(job.ranks)} rank{'s' * (len(job.ranks) != 1)}"


def html(job: wire.Job, points: Sequence[wire.MetricPoint] = (), said: Sequence[str] = ()) -> str:
    """Name, state, message, curves of rank 0, what each rank does, and what was said last."""
    title = f"{_MARK[job.state]} {job.name}"
    head = row(_TONE[job.state], title, job.state, *_facts(job), job.id, note=job.message)
    tail = "\n".join(line[:_MOST_COLUMNS] for line in said)
    words = f'<pre style="{_PRE}">{escape(tail)}</pre>' if tail else ""
    hint = job.cause.hint if job.cause else ""
    advice = f'<div style="margin-left:13px">{escape(hint)}</div>' if hint else ""
    return block(head, advice, _curves(points), _table(job.ranks), words)


def _table(ranks: Sequence[wire.RankView]) -> str:
    told = [_rank(one) for one in ranks[:_MOST_RANKS]]
    if len(ranks) > _MOST_RANKS:
        told.append(f"and {len(ranks) - _MOST_RANKS} more")
    return f'<div style="color:{_GREY};margin-left:13px">{"<br>".join(told)}</div>'


def _rank(one: wire.RankView) -> str:
    words = [f"rank {one.rank}", one.state + (f" ({one.exit_code})" if one.exit_code else "")]
    if one.slice_id is not None:
        words.append(f"slice {one.slice_id}")
    if one.step is not None:
        words.append(f"step {one.step}")
    return escape(" · ".join(words))


# --- curves -----------------------------------------------------------------------------------


def _curves(points: Sequence[wire.MetricPoint]) -> str:
    """A small drawing for each of the first four metrics that has at least two points."""
    series: dict[str, list[tuple[int, float]]] = {}
    for point in points:
        if point.rank == 0:
            for name, value in point.values.items():
                series.setdefault(name, []).append((point.step, value))
    drawn = [(name, line) for name, line in series.items() if len(line) > 1]
    figures = [
        _curve(name, line, colour) for (name, line), colour in zip(drawn, _LINES, strict=False)
    ]
    return f'<div style="{_FIGURES}">{"".join(figures)}</div>'


def _curve(name: str, line: list[tuple[int, float]], colour: str) -> str:
    newest = line[-1]
    line = line[:: max(1, len(line) // _MOST_POINTS)]
    if line[-1] != newest:
        line.append(newest)
    steps, values = [x for x, _ in line], [y for _, y in line]
    low, high, first = min(values), max(values), min(steps)
    wide, tall = max(1, max(steps) - first), (high - low) or 1.0
    path = " ".join(
        f"{(x - first) / wide * _WIDTH:.1f},{_HEIGHT - (y - low) / tall * _HEIGHT:.1f}"
        for x, y in line
    )
    label = f"{name} {newest[1]:.4g} at step {newest[0]}, from {low:.4g} to {high:.4g}"
    small = f'font-size="10" style="fill:{_GREY}"'
    return (
        f'<div style="width:{_WIDTH}px"><b>{escape(name)}</b> {newest[1]:.4g}'
        f'<svg role="img" aria-label="{escape(label, quote=True)}" width="{_WIDTH}" '
        f'height="{_HEIGHT + 16}" viewBox="0 -2 {_WIDTH} {_HEIGHT + 16}">'
        f'<path d="M0 0H{_WIDTH}M0 {_HEIGHT}H{_WIDTH}" style="stroke:{_RULE}"/>'
        f'<polyline points="{path}" fill="none" style="stroke:{colour};stroke-width:1.5"/>'
        f'<text x="{_WIDTH}" y="10" text-anchor="end" {small}>{high:.4g}</text>'
        f'<text x="0" y="{_HEIGHT + 12}" {small}>{low:.4g} · step {first}</text>'
        f'<text x="{_WIDTH}" y="{_HEIGHT + 12}" text-anchor="end" {small}>{max(steps)}</text>'
        "</svg></div>"
    )
