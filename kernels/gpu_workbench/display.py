"""How things look in a notebook and in a terminal: words for times and sizes, HTML, live updates.

Pure but for `Live`. The HTML needs no script and no kernel, so a saved notebook stays readable;
colours are JupyterLab's variables with fallbacks that read on light and on dark. Whatever a user
could have named is escaped here.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from html import escape
from typing import Any, Literal

Tone = Literal["plain", "mine", "free", "wait", "bad"]

_TONES: dict[Tone, str] = {
    "plain": "var(--jp-ui-font-color2, #808890)",
    "mine": "var(--jp-brand-color1, #2f80d0)",
    "free": "var(--jp-success-color1, #2f9e62)",
    "wait": "var(--jp-warn-color1, #c98a1b)",
    "bad": "var(--jp-error-color1, #d0453f)",
}
_FONT = "font-size:var(--jp-ui-font-size1,13px);line-height:1.5;max-width:760px"
_RULE = "border-left:3px solid {};padding:1px 10px;margin:4px 0"


# --- words ------------------------------------------------------------------------------------


def gigabytes(size: float) -> str:
    """Bytes as on a GPU's label: `20 GB`, `9.5 GB`; MIG's and driver's GiB read as GB."""
    gb = size / (1 << 30)
    return f"{gb:.0f} GB" if abs(gb - round(gb)) < 0.05 or gb >= 100 else f"{gb:.1f} GB"


def duration(seconds: float) -> str:
    """`1:42:10`, `5:03`."""
    whole = max(0, int(seconds))
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"


def gpu_time(seconds: float) -> str:
    """`4.2 GPU-seconds`, `12 GPU-minutes`, `3.2 GPU-hours`; the front end says it as this does."""
    if seconds < 120:
        return f"{seconds:.{int(seconds < 10)}f} GPU-seconds"
    if seconds < 7200:
        return f"{seconds / 60:.0f} GPU-minutes"
    return f"{seconds / 3600:.1f} GPU-hours"


def percent(share: float) -> str:
    """`42 %` of a part of 1."""
    return f"{share * 100:.0f} %"


def left(until: float, now: float | None = None) -> str:
    """`1:42:10 left`, or `over`."""
    seconds = until - (time.time() if now is None else now)
    return f"{duration(seconds)} left" if seconds > 0 else "over"


def at(moment: float) -> str:
    """`14:32`, with the day where it is not today's."""
    then = time.localtime(moment)
    today = time.strftime("%Y%j", then) == time.strftime("%Y%j")
    return time.strftime("%H:%M" if today else "%a %H:%M", then)


def expected(moment: float | None, now: float | None = None) -> str:
    """`in about 12 min (at 14:32)`; "" where nobody can tell."""
    if moment is None:
        return ""
    minutes = max(0.0, moment - (time.time() if now is None else now)) / 60
    if minutes < 1:
        return f"in less than a minute (at {at(moment)})"
    about = f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.0f} h"
    return f"in about {about} (at {at(moment)})"


def short(profile: str) -> str:
    """A profile as people write it: `1g.10gb`, `1/4 GPU`, `whole GPU`."""
    if profile == "whole":
        return "whole GPU"
    if profile.startswith("fraction-"):
        share = float(profile.removeprefix("fraction-"))
        parts = 1 / share
        return f"1/{round(parts)} GPU" if abs(parts - round(parts)) < 1e-6 else f"{share:g} GPU"
    return profile.removeprefix("mig-")


# --- HTML -------------------------------------------------------------------------------------


def block(*parts: str) -> str:
    return f'<div style="{_FONT}">{"".join(parts)}</div>'


def row(tone: Tone, title: str, *facts: str, note: str = "") -> str:
    """A line with a coloured rule at its left, facts in grey, and a sentence below."""
    grey = _TONES["plain"]
    told = " · ".join(escape(one) for one in facts if one)
    below = f'<div style="color:{grey}">{escape(note)}</div>' if note else ""
    return (
        f'<div style="{_RULE.format(_TONES[tone])}"><b>{escape(title)}</b> '
        f'<span style="color:{grey}">{told}</span>{below}</div>'
    )


def heading(text: str) -> str:
    return f'<div style="margin-top:8px;font-weight:600">{escape(text)}</div>'


def bar(segments: Sequence[tuple[float, Tone, str]]) -> str:
    """A GPU's bar: (share, tone, tooltip) for each segment; free ones are outlined."""
    cells = []
    for share, tone, tip in segments:
        colour = _TONES[tone]
        look = f"border:1px solid {colour};" + ("" if tone == "free" else f"background:{colour};")
        cells.append(
            f'<span title="{escape(tip, quote=True)}" style="{look}width:{share * 100:.2f}%;'
            'height:10px;border-radius:2px;box-sizing:border-box"></span>'
        )
    label = escape("; ".join(tip for _, _, tip in segments), quote=True)
    return (
        f'<span role="img" aria-label="{label}" '
        f'style="display:inline-flex;gap:2px;width:240px">{"".join(cells)}</span>'
    )


def beside(name: str, drawn: str, note: str) -> str:
    """A name, a drawing (HTML) and a remark in one line."""
    return (
        '<div style="display:flex;flex-wrap:wrap;gap:0 12px;align-items:center;padding-left:13px">'
        f'<span style="min-width:15em">{escape(name)}</span>{drawn}'
        f'<span style="color:{_TONES["plain"]}">{escape(note)}</span></div>'
    )


class Rich:
    """Base of what a cell may end with: `_text` for terminals, `_html` for notebooks."""

    def _text(self) -> str:
        return super().__repr__()

    def _html(self) -> str:
        return f"<pre>{escape(self._text())}</pre>"

    def __repr__(self) -> str:
        return self._text()

    def _repr_html_(self) -> str:
        return self._html()


# --- live -------------------------------------------------------------------------------------


def in_notebook() -> bool:
    """Whether a front end shows what this process displays."""
    return getattr(_shell(), "kernel", None) is not None


def cell() -> int | None:
    """The number of the cell that runs; None outside of notebooks."""
    return getattr(_shell(), "execution_count", None) if in_notebook() else None


def _shell() -> object:
    try:
        from IPython.core.getipython import get_ipython
    except ImportError:
        return None
    shell: object = get_ipython()  # type: ignore[no-untyped-call]
    return shell


class Live:
    """One thing shown again and again: a block that changes, or a line per change in a terminal."""

    def __init__(self) -> None:
        self._handle: Any = None
        self._shown = ""
        self._notebook = in_notebook()

    def show(self, text: str, html: str) -> None:
        if not self._notebook:
            if text != self._shown:
                print(text, flush=True)
        elif text != self._shown:
            from IPython import display

            bundle = {"text/plain": text, "text/html": html}
            show: Any = display.display
            if self._handle is None:
                self._handle = show(bundle, raw=True, display_id=True)
            else:
                self._handle.update(bundle, raw=True)
        self._shown = text
