"""How a job looks: a line of text, and a block of HTML with the curves of rank 0.

Pure. The HTML needs no script and no kernel, so a saved notebook stays readable. Everything that a
user could have named is escaped.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from html import escape

from . import ansi
from . import protocol as wire
from .curves import COLOURS, Line, Points, drawing
from .curves import row as row_of
from .display import Tone, block, duration, gpu_time, percent, row

OVER = ("succeeded", "failed", "stopped", "lost")

MARK = {
    "waiting": "◷", "starting": "…", "running": "▶", "stopping": "…",
    "succeeded": "✓", "failed": "✗", "stopped": "■", "lost": "✗",
}  # fmt: skip
TONE: dict[str, Tone] = {
    "running": "mine", "succeeded": "free", "failed": "bad", "lost": "bad",
    "waiting": "wait", "starting": "wait", "stopping": "wait", "stopped": "plain",
}  # fmt: skip
_GREY = "var(--jp-ui-font-color2,#808890)"
_PRE = "margin:4px 0 0 13px;font-size:var(--jp-code-font-size,12px);white-space:pre-wrap"
_MOST_COLUMNS = 200
_SLOW = 1.3
_MOST_CURVES, _MOST_RANKS = 4, 16


def text(job: wire.Job) -> str:
    """`▶ train (job-1f2e) running · 2 ranks · step 410 · loss 0.123 · 0:42`, and its message."""
    line = " · ".join([f"{MARK[job.state]} {job.name} ({job.id}) {job.state}", *_facts(job)])
    return "\n  ".join(filter(None, (line, job.message, *_advice(job))))


def _advice(job: wire.Job) -> list[str]:
    """What to do about its failure, and which slice would have done."""
    return [told for told in (job.cause.hint if job.cause else "", job.size_hint) if told]


def _facts(job: wire.Job) -> list[str]:
    facts = [_ranks(job)]
    if job.step is not None:
        facts.append(f"step {job.step}")
    if job.step_seconds:
        facts.append(f"{1 / job.step_seconds:.3g} steps/s")
    facts += [f"{name} {value:.4g}" for name, value in list(job.metrics.items())[:4]]
    if job.started_at is not None:
        facts.append(duration((job.ended_at or time.time()) - job.started_at))
    if job.hours_held is not None:
        used = job.hours_used
        share = f", used {percent(used / job.hours_held)} of it" if used and job.hours_held else ""
        facts.append(f"held {gpu_time(job.hours_held * 3600)}{share}")
    return facts


def _ranks(job: wire.Job) -> str:
    return f"{len(job.ranks)} rank{'s' * (len(job.ranks) != 1)}"


def html(
    job: wire.Job,
    points: Sequence[wire.MetricPoint] = (),
    said: Sequence[str] = (),
    used: Points = (),
) -> str:
    """Name, state, message, curves of rank 0 and of its GPU's use by step, what each rank does, and
    what was said last."""
    title = f"{MARK[job.state]} {job.name}"
    head = row(TONE[job.state], title, job.state, *_facts(job), job.id, note=job.message)
    tail = "\n".join(_shown(line) for line in said)
    words = f'<pre style="{_PRE}">{tail}</pre>' if tail else ""
    advice = [f'<div style="margin-left:13px">{escape(told)}</div>' for told in _advice(job)]
    return block(head, *advice, _curves(points, used), _table(job.ranks), words)


def _shown(line: str) -> str:
    """In its colours; a line that is too long in none, as it is cut."""
    short = ansi.plain(line)
    return ansi.html(line) if len(short) <= _MOST_COLUMNS else escape(short[:_MOST_COLUMNS])


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
    if one.slower is not None and one.slower >= _SLOW:
        words.append(f"{one.slower:.1f}× slower than the others")
    return escape(" · ".join(words))


# --- curves -----------------------------------------------------------------------------------


def _curves(points: Sequence[wire.MetricPoint], used: Points) -> str:
    """A small drawing for each of the first metrics that has at least two points."""
    series: dict[str, list[tuple[float, float]]] = {}
    for point in points:
        if point.rank == 0:
            for name, value in point.values.items():
                series.setdefault(name, []).append((point.step, value))
    drawn = [(name, line) for name, line in series.items() if len(line) > 1][:_MOST_CURVES]
    pictures = [
        drawing(name, [Line(name, line, COLOURS[number % len(COLOURS)])])
        for number, (name, line) in enumerate(drawn)
    ]
    if len(used) > 1:
        colour = COLOURS[len(drawn) % len(COLOURS)]
        pictures.append(drawing("GPU use", [Line("GPU use", used, colour)], share=True))
    return row_of(*pictures)
