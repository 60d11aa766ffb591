"""The README's picture: `python -m tests.support.panel_picture [DIR]`.

JupyterLab as `dev.py run` opens it for the first time, with the quickstart run through beside the
panel: a real server, a real browser, simulated GPUs, nothing made up.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from tests.support.dashboards import chromium
from tests.support.lab import REPOSITORY, LabServer
from tests.support.pictures import IMAGES, picture
from tests.support.quickstart import NOTEBOOK

WIDTH, HEIGHT = 1280, 940
SHOWN = 18
"""The cell that the picture is about: the trained job, its result below."""


def first_start(root: Path) -> LabServer:
    """With the settings and the layout that `dev.py run` begins with, and the examples."""
    for name in ("settings", "workspaces"):
        shutil.copytree(REPOSITORY / "labext/first-start" / name, root / name)
    lab = LabServer(root, app="lab", workbench={"tick_seconds": 1.0})
    for file in (REPOSITORY / "examples").glob("*"):
        if file.suffix in (".py", ".ipynb"):
            shutil.copy(file, lab.notebooks / file.name)
    return lab


def main() -> None:
    into = Path(sys.argv[1]) if len(sys.argv) > 1 else IMAGES
    with (
        tempfile.TemporaryDirectory() as root,
        chromium() as browser,
        first_start(Path(root)) as lab,
    ):
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, locale="en-US")
        page.set_default_timeout(60_000)
        page.goto(f"{lab.url}lab/tree/{NOTEBOOK}?token={lab.token}")
        page.get_by_test_id("gw-panel").wait_for()
        page.get_by_text("| Idle").wait_for()
        page.evaluate("() => { window.jupyterapp.commands.execute('notebook:run-all-cells'); }")
        # Running the last cell put it into view; what it says ends the notebook.
        page.locator(".jp-Cell").last.locator(".jp-OutputArea-output").wait_for(timeout=400_000)
        for _ in range(2):  # What comes into view for the first time gets its true height.
            page.evaluate(
                "at => { const { content } = window.jupyterapp.shell.currentWidget;"
                " content.activeCellIndex = at;"
                " content.widgets[at].node.scrollIntoView({block: 'start'}); }",
                SHOWN,
            )
            page.wait_for_timeout(1500)
        picture(page, "panel", into, width=WIDTH)


if __name__ == "__main__":
    main()
