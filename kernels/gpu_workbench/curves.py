"""Small drawings of lines, as SVG: what a metric did, of one job or of several. Pure.

No script and no kernel is needed, so a saved notebook stays readable. Names are escaped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from typing import NamedTuple

from .display import percent

COLOURS = (
    "var(--jp-brand-color1,#2f80d0)",
    "var(--jp-warn-color1,#c98a1b)",
    "var(--jp-success-color1,#2f9e62)",
    "var(--jp-accent-color1,#8e5bb5)",
)
_GREY = "var(--jp-ui-font-color2,#808890)"
_RULE = "var(--jp-border-color2,#d0d4d8)"
_ROW = "display:flex;flex-wrap:wrap;gap:4px 20px;margin-left:13px"
_MOST_POINTS = 150
_WIDTH, _HEIGHT = 300, 90
_LABEL = 0.2
"""Share of the width that a label takes."""
_DASHES = ("", "6 3", "2 2")
"""Lines of one drawing differ in more than colour."""

Points = Sequence[tuple[float, float]]


class Line(NamedTuple):
    """A name, (x, y) with x rising, and its colour."""

    name: str
    points: Points
    colour: str


def row(*drawings: str) -> str:
    """Drawings side by side."""
    return f'<div style="{_ROW}">{"".join(drawings)}</div>'


def drawing(
    title: str,
    lines: Sequence[Line],
    wide: int = _WIDTH,
    tall: int = _HEIGHT,
    share: bool = False,
) -> str:
    """Lines over one axis of steps. Each needs two points at least; the label tells it in words.

    `share`: the values are parts of 1. They are told in per cent, over the whole axis from 0 to 1.
    """
    told = percent if share else _number
    thin = [line._replace(points=_thinned(line.points)) for line in lines]
    steps = [x for line in thin for x, _ in line.points]
    values = [y for line in thin for _, y in line.points]
    least, most, first, last = min(values), max(values), min(steps), max(steps)
    low, high = (0.0, 1.0) if share else (least, most)
    width, height = max(1, last - first), (high - low) or 1.0
    newest = lines[0].points[-1]
    between = f"from {told(least)} to {told(most)}"
    label = f"{title} {told(newest[1])} at step {newest[0]:.0f}, {between}"
    if len(lines) > 1:
        label = f"{title} {between}: " + "; ".join(
            f"{line.name} {told(line.points[-1][1])} at step {line.points[-1][0]:.0f}"
            for line in lines
        )
    small = f'font-size="10" style="fill:{_GREY}"'
    # The largest value stands in the upper corner that the lines leave free.
    every = [point for line in thin for point in line.points]
    left = max(y for x, y in every if x <= first + _LABEL * width)
    right = max(y for x, y in every if x >= last - _LABEL * width)
    corner = 'x="0"' if right > left else f'x="{wide}" text-anchor="end"'
    drawn = []
    for number, line in enumerate(thin):
        path = " ".join(
            f"{(x - first) / width * wide:.1f},{tall - (y - low) / height * tall:.1f}"
            for x, y in line.points
        )
        dash = _DASHES[number // len(COLOURS) % len(_DASHES)]
        drawn.append(
            f'<polyline points="{path}" fill="none" style="stroke:{line.colour};'
            f'stroke-width:1.5;stroke-dasharray:{dash or "none"}"/>'
        )
    return (
        f'<div style="width:{wide}px"><b>{escape(title)}</b> {_said(lines, told)}'
        f'<svg role="img" aria-label="{escape(label, quote=True)}" width="{wide}" '
        f'height="{tall + 16}" viewBox="0 -2 {wide} {tall + 16}">'
        f'<path d="M0 0H{wide}M0 {tall}H{wide}" style="stroke:{_RULE}"/>'
        f"{''.join(drawn)}"
        f'<text {corner} y="10" {small}>{told(high)}</text>'
        f'<text x="0" y="{tall + 12}" {small}>{told(low)} · step {first:.0f}</text>'
        f'<text x="{wide}" y="{tall + 12}" text-anchor="end" {small}>{last:.0f}</text>'
        "</svg></div>"
    )


def _said(lines: Sequence[Line], told: Callable[[float], str]) -> str:
    """The newest value, or a legend."""
    if len(lines) == 1:
        return told(lines[0].points[-1][1])
    return " ".join(
        f'<span style="color:{line.colour}">{escape(line.name)} {told(line.points[-1][1])}</span>'
        for line in lines
    )


def _number(value: float) -> str:
    return f"{value:.4g}"


def _thinned(points: Points) -> Points:
    """A few hundred of them, the newest always among these."""
    kept = list(points[:: max(1, len(points) // _MOST_POINTS)])
    return kept if kept[-1] == points[-1] else [*kept, points[-1]]
