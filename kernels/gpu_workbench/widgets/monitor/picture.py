"""A still picture of a window, for where no widget lives: HTML with SVG, no script. Pure."""

from __future__ import annotations

from html import escape

from .window import SECONDS, Subject, Window

_WIDTH, _HEIGHT = 300, 40


def still(window: Window) -> str:
    """One line of charts a subject: activity (0 to 100 %) and memory (0 to the slice's limit)."""
    return f"<div>{''.join(_row(window, one) for one in window.subjects)}</div>"


def _row(window: Window, subject: Subject) -> str:
    activity, memory = window.series(subject.id)
    limit = subject.memory_bytes / (1 << 30)
    label = escape(subject.label)
    now = _say(activity[-1], lambda share: f"{share:.0%}")
    used = _say(memory[-1], lambda gb: f"{gb:.1f} of {limit:.0f} GB")
    return (
        f'<div style="margin:4px 0"><div>{label}</div>'
        f"{_chart(activity, 1.0, f'activity {now}')}{_chart(memory, limit, f'memory {used}')}"
        f"<div><small>activity {now} · memory {used}</small></div></div>"
    )


def _say(value: float, words: object) -> str:
    return "unknown" if value != value else words(value)  # type: ignore[operator,no-any-return]


def _chart(values: list[float], top: float, label: str) -> str:
    lines, line = [], list[str]()
    for place, value in enumerate([*values, float("nan")]):
        if value == value:
            x = place / (SECONDS - 1) * _WIDTH
            y = _HEIGHT - min(1.0, value / top if top else 0.0) * _HEIGHT
            line.append(f"{x:.1f},{y:.1f}")
        elif line:  # a gap: what is unknown is not drawn
            lines.append(f'<polyline points="{" ".join(line)}"/>')
            line = []
    return (
        f'<svg role="img" aria-label="{escape(label, quote=True)}" width="{_WIDTH}" '
        f'height="{_HEIGHT}" viewBox="0 -1 {_WIDTH} {_HEIGHT + 2}" fill="none" '
        f'style="stroke:var(--jp-brand-color1,#2f80d0);stroke-width:1.5;margin-right:8px">'
        f"{''.join(lines)}</svg>"
    )
