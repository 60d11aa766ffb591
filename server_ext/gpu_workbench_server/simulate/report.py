"""Outcomes for people and programs: a column per policy, and the same as JSON."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from .record import Figures, Moment, Outcome, estimate_errors, figures

POINTS = 500
"""Of the fleet over time, so many points are kept for plots and JSON."""


def span(seconds: float) -> str:
    """ "3 d 04 h", "2 h 05 min", "7 min 20 s", "4 s"."""
    if math.isnan(seconds):
        return "–"
    whole = round(seconds)
    if whole >= 86400:
        return f"{whole // 86400} d {whole % 86400 // 3600:02} h"
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02} min"
    return f"{whole // 60} min {whole % 60:02} s" if whole >= 60 else f"{whole} s"


def _per_cent(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.1f} %"


def _plain(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.2f}"


_ROWS: tuple[tuple[str, str, Callable[[Any], str]], ...] = (
    ("jobs", "jobs", str),
    ("refused", "refused at once", str),
    ("unfinished", "never served", str),
    ("makespan", "from the first request to the last end", span),
    ("mean_completion", "mean time from request to end", span),
    ("mean_wait", "mean wait", span),
    ("median_wait", "median wait", span),
    ("p90_wait", "wait, 90th percentile", span),
    ("longest_wait", "longest wait", span),
    ("mean_slowdown", "mean slowdown", _plain),
    ("allocated", "GPUs held", _per_cent),
    ("allocated_busy", "GPUs held while somebody waits", _per_cent),
    ("fragmentation", "GPUs free but of no use, while somebody waits", _per_cent),
    ("fairness", "fairness over users (Jain; 1 is even)", _plain),
    ("extensions", "extensions", str),
    ("interruptions", "interrupted, and asked again", str),
)


def rows(found: Sequence[Figures]) -> list[tuple[str, ...]]:
    """(title, a cell for each policy) of every figure."""
    return [(title, *(show(getattr(one, name)) for one in found)) for name, title, show in _ROWS]


def estimate_rows(outcomes: Sequence[Outcome]) -> list[tuple[str, ...]]:
    """How right the expected starts were, where they were asked for."""
    errors = [estimate_errors(one.stories) for one in outcomes]
    if not any(one.told for one in errors):
        return []
    return [
        ("expected start: told to", *(str(one.told) for one in errors)),
        ("expected start: median error", *(span(one.median) for one in errors)),
        ("expected start: error, 90th percentile", *(span(one.p90) for one in errors)),
        ("started by “nine times in ten”", *(_per_cent(100 * one.kept) for one in errors)),
    ]


def as_json(outcomes: Mapping[str, Outcome]) -> dict[str, Any]:
    """By policy: figures, what became of each job, and the fleet over time. NaN becomes null."""
    return {
        name: {
            "figures": {key: _known(value) for key, value in asdict(figures(one)).items()},
            "estimates": {
                key: _known(value) for key, value in asdict(estimate_errors(one.stories)).items()
            },
            "notes": list(one.notes),
            "jobs": [
                {
                    "id": story.job.id,
                    "user": story.job.user,
                    "group": story.job.group,
                    "gpus": story.job.gpus,
                    "share": story.job.share,
                    "submitted": story.job.submitted,
                    "started": story.started,
                    "ended": story.ended,
                    "expected_at": story.expected_at,
                    "expected_by": story.expected_by,
                    "interrupted": story.interrupted,
                    "refused": story.refused or None,
                }
                for story in one.stories
            ],
            "over_time": [asdict(moment) for moment in thinned(one.moments)],
        }
        for name, one in outcomes.items()
    }


def thinned(moments: Sequence[Moment], points: int = POINTS) -> list[Moment]:
    """At most so many of them, evenly, the last one included."""
    if len(moments) <= points:
        return list(moments)
    step = (len(moments) - 1) / (points - 1)
    return [moments[round(i * step)] for i in range(points)]


def _known(value: float) -> float | None:
    return None if isinstance(value, float) and not math.isfinite(value) else value
