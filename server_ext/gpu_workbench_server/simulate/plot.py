"""The picture of outcomes: the fleet and the queue over time, and how long people waited.

The only module here that knows matplotlib, which is an extra.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..errors import BadRequest
from .record import Outcome
from .report import thinned

DAY, HOUR = 86400.0, 3600.0


def check_plot(path: Path) -> None:
    """Raise `BadRequest`, before anything long is begun, where no picture could be written."""
    if find_spec("matplotlib") is None:
        raise BadRequest(
            "A plot needs matplotlib, which is not installed.",
            "pip install 'jupyterlab-gpu-workbench[examples]', or leave --plot out.",
        )
    if path.suffix.lower() not in (".png", ".svg", ".pdf"):
        raise BadRequest(f"{path.name} is no picture.", "Name a .png, .svg or .pdf file.")


def write_plot(outcomes: Mapping[str, Outcome], path: Path) -> None:
    """One colour per policy; the file's ending says which format."""
    check_plot(path)
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 8), layout="constrained")
    held, lost, queue, waits = figure.subplots(4, 1)
    for name, one in outcomes.items():
        moments = thinned(one.moments)
        begin = moments[0].at if moments else 0.0
        days = [(moment.at - begin) / DAY for moment in moments]
        _step(held, days, [100 * moment.held / one.total for moment in moments], name)
        _step(lost, days, [100 * moment.fragments / one.total for moment in moments], name)
        _step(queue, days, [float(moment.waiting) for moment in moments], name)
        ordered = sorted(story.wait for story in one.stories if story.started is not None)
        shares = [100 * (i + 1) / len(ordered) for i in range(len(ordered))]
        _step(waits, [wait / HOUR for wait in ordered], shares, name)
    for axes, title, unit in (
        (held, "GPUs held, %", "days"),
        (lost, "free but of no use, %", "days"),
        (queue, "requests that wait", "days"),
        (waits, "served within so many hours, %", "hours"),
    ):
        axes.set_title(title, loc="left", fontsize=10)
        axes.set_xlabel(unit)
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
    waits.set_xscale("symlog", linthresh=0.1)
    waits.set_xlim(left=0)
    held.legend(loc="lower right")
    try:
        figure.savefig(path)
    except OSError as error:
        raise BadRequest(f"{path} can't be written: {error.strerror}.") from None


def _step(axes: Any, x: list[float], y: list[float], name: str) -> None:
    axes.step(x, y, where="post", label=name, linewidth=1.2)
