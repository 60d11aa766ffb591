"""A still picture of a window, for where no widget lives: HTML, no script. Pure.

The charts are images of SVG: in a notebook that is not trusted JupyterLab drops SVG elements, and
shows images. An image sees no theme, so the colours are such as read on light and on dark.
"""

from __future__ import annotations

import time
from base64 import b64encode
from html import escape

from .window import SECONDS, Subject, Track, Window

_WIDTH, _HEIGHT = 640, 44
_BLUE, _AMBER, _GREY = "#2f80d0", "#c98a1b", "#88888888"


def still(window: Window, key: str, notes: str, moment: float) -> str:
    """All subjects as they were at `moment` (seconds since the epoch).

    `key` names the monitor: its live view hides the element of the class `gpuw-still-KEY`. Where no
    view can live JupyterLab writes below that it looks for one: text without an element, hidden.
    """
    rows = "".join(_row(window.track(one.id), one) for one in window.subjects)
    at = time.strftime("%d %b %Y, %H:%M:%S", time.localtime(moment))
    below = f".jp-OutputArea-child:has(.gpuw-still-{key}) + .jp-OutputArea-child"
    return (
        f"<style>{below} > .jp-OutputArea-output:not(:has(*)) {{ display: none }}</style>"
        f'<div class="gpuw-still gpuw-still-{key}" style="max-width:{_WIDTH}px">{rows}'
        f"<div><small>as of {at}{escape(f' · {notes}' if notes else '')}</small></div></div>"
    )


def figures(track: Track, subject: Subject) -> str:
    """`43 % · SM 3 % · 6.1 of 10 GB`; SM activity is left out where it is not known."""
    activity, sm, memory = (column[-1] for column in track.columns)
    words = ["activity unknown" if _unknown(activity) else f"{activity * 100:.0f} %"]
    words += [] if _unknown(sm) else [f"SM {sm * 100:.0f} %"]
    limit = f"{subject.memory_gb:.0f} GB"
    words.append("memory unknown" if _unknown(memory) else f"{memory:.1f} of {limit}")
    return " · ".join(words)


def _row(track: Track, subject: Subject) -> str:
    said = figures(track, subject)
    label = escape(f"{subject.label}: {said}, the two minutes before", quote=True)
    image = b64encode(_chart(track, subject).encode()).decode()
    return (
        f'<div style="margin:6px 0"><b>{escape(subject.label)}</b> <span>{escape(said)}</span><br>'
        f'<img alt="{label}" width="{_WIDTH}" height="{_HEIGHT + 2}" '
        f'src="data:image/svg+xml;base64,{image}"></div>'
    )


def _chart(track: Track, subject: Subject) -> str:
    limit = subject.memory_gb
    drawn = [
        f'<path d="M0 0H{_WIDTH}" stroke="{_GREY}" stroke-dasharray="3 3"/>'
        f'<path d="M0 {_HEIGHT}H{_WIDTH}" stroke="{_GREY}"/>'
    ]
    for values, strength in ((track.activity, 0.4), (track.sm, 0.8)):
        for run in _runs(values, 1.0):
            ends = [f"{run[-1].split(',')[0]},{_HEIGHT}", f"{run[0].split(',')[0]},{_HEIGHT}"]
            points = " ".join([*run, *ends])
            drawn.append(f'<polygon points="{points}" fill="{_BLUE}" fill-opacity="{strength}"/>')
    for run in _runs(track.memory, limit):
        line = f'fill="none" stroke="{_AMBER}" stroke-width="1.5"'
        drawn.append(f'<polyline points="{" ".join(run)}" {line}/>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 -1 {_WIDTH} {_HEIGHT + 2}" '
        f'width="{_WIDTH}" height="{_HEIGHT + 2}">{"".join(drawn)}</svg>'
    )


def _runs(values: list[float], top: float) -> list[list[str]]:
    """Stretches of known values as lists of "x,y": what is unknown is not drawn."""
    found: list[list[str]] = [[]]
    for place, value in enumerate(values):
        if _unknown(value):
            found.append([])
            continue
        y = (1 - min(1.0, value / top if top else 0.0)) * _HEIGHT
        found[-1].append(f"{place / (SECONDS - 1) * _WIDTH:.0f},{y:.1f}")
    return [run for run in found if run]


def _unknown(value: float) -> bool:
    return value != value
