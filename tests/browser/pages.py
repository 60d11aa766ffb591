"""What every journey does in JupyterLab: find by test id, open panel and notebooks, run cells."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable

from playwright.sync_api import Locator, Page, expect

from tests.support.lab import LabServer


def at(page: Page | Locator, testid: str) -> Locator:
    return page.locator(f"[data-testid='{testid}']")


def open_panel(page: Page) -> Locator:
    """The GPUs panel, opened if it isn't."""
    panel = at(page, "gw-panel")
    if not panel.is_visible():
        page.evaluate("() => window.jupyterapp.shell.activateById('gpu-workbench-panel')")
    expect(panel).to_have_attribute("data-phase", "ready")
    return panel


def command(page: Page, name: str, **args: object) -> None:
    """A command of the palette; what it answers can't be sent here."""
    page.evaluate(
        "([name, args]) => { window.jupyterapp.commands.execute(name, args); }", [name, args]
    )


# The status bar may still tell of the notebook that was in front before.
_IN_FRONT_WITH_KERNEL_IDLE = """path => {
  const front = window.jupyterapp.shell.currentWidget;
  return front?.context !== undefined && (path === "" || front.context.path === path)
    && front.sessionContext?.session?.kernel?.status === "idle";
}"""


def in_front_with_kernel_idle(page: Page, path: str = "") -> None:
    """Wait until this notebook, or whichever, is in front and its kernel has nothing to do."""
    page.wait_for_function(_IN_FRONT_WITH_KERNEL_IDLE, arg=path, timeout=60_000)


def notebook(
    page: Page, lab: LabServer, *cells: str, kernel: str = "python3", name: str = "look.ipynb"
) -> Locator:
    """A notebook with these cells, opened, its kernel idle; its output areas."""
    content = {
        "cells": [
            {
                "cell_type": "code",
                "id": f"cell-{number}",
                "source": source,
                "metadata": {},
                "outputs": [],
                "execution_count": None,
            }
            for number, source in enumerate(cells)
        ],
        "metadata": {"kernelspec": {"name": kernel, "display_name": kernel, "language": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    (lab.notebooks / name).write_text(json.dumps(content))
    command(page, "docmanager:open", path=name)
    in_front_with_kernel_idle(page, name)
    return page.locator(".jp-Notebook:visible .jp-OutputArea")


def run_all(page: Page) -> None:
    """Run the notebook in front; its first cell has begun when this returns."""
    command(page, "notebook:run-all-cells")
    prompt = page.locator(".jp-Notebook:visible .jp-CodeCell .jp-InputArea-prompt").first
    expect(prompt).to_have_text(re.compile(r"\[(\*|\d+)\]"))


def run_cell(page: Page, code: str) -> None:
    """Type into the last cell of the notebook in front and run it."""
    page.locator(".jp-Notebook:visible .jp-CodeCell .cm-content").last.click()
    page.keyboard.insert_text(code)
    page.keyboard.press("Shift+Enter")


Shown = Callable[[], tuple[float, float] | None]
"""Reads (activity 0..1, memory in GB) from the screen; None while neither is there."""

_ROW = re.compile(r"(\d+)\s?% · ([\d.]+)/")
_FIGURES = re.compile(r"(\d+)\s?%.*?([\d.]+)\s?GB", re.S)


def row_shows(lease: Locator) -> Shown:
    """What a lease's row in the panel says."""
    load = at(lease, "gw-lease-load")
    return lambda: _read(_ROW, load.inner_text())


def slice_shows(slice_: Locator) -> Shown:
    """What a slice on the dashboard's page of a GPU says: use first, memory last."""
    figures = slice_.locator(".gw-slice-figure b")
    return lambda: _read(_FIGURES, " ".join(figures.all_inner_texts()))


def _read(form: re.Pattern[str], text: str) -> tuple[float, float] | None:
    found = form.search(text)
    return None if found is None else (int(found[1]) / 100, float(found[2]))


def watch(
    shown: dict[str, Shown], seconds: float, also: Callable[[], object] = lambda: None
) -> dict[str, float]:
    """The activity that each of some places shows, averaged over so many seconds.

    `also` is called again and again meanwhile, for what has to be read at the same time.
    """
    total, known = dict.fromkeys(shown, 0.0), dict.fromkeys(shown, 1e-9)
    since = dict.fromkeys(shown, time.monotonic())
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        also()
        for name, read in shown.items():
            said, now = read(), time.monotonic()
            if said is not None:  # weighed by its time, as not every look takes as long
                total[name] += said[0] * (now - since[name])
                known[name] += now - since[name]
            since[name] = now
        time.sleep(0.05)
    return {name: total[name] / known[name] for name in shown}
