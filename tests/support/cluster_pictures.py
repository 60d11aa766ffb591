"""Pictures of the panel's clusters: `python -m tests.support.cluster_pictures [DIR [SCENE]]`.

Simulated GPUs, real Dask on real work, a real browser.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page

from tests.support.dashboards import chromium, lab_with, run
from tests.support.lab import LabServer
from tests.support.pictures import IMAGES, picture
from tests.support.waiting import wait_for

FLEET = """
[[gpu]]
model = "NVIDIA H100 80GB HBM3"
memory_gb = 80
count = 3
[[gpu]]
model = "NVIDIA H100 80GB HBM3"
memory_gb = 80
mig = ["3g.40gb", "2g.20gb", "1g.10gb", "1g.10gb"]
"""
POLICY = '[users."*"]\nlimit = 2.5\n'
WORK = (
    ('import gpu_workbench as gw\n\nclient = gw.cluster(name="flights").get_client()\nclient'),
    (
        "import dask.array as da\n\n"
        "x = da.random.random((60_000, 40_000), chunks=1_000)\n"
        "future = client.compute(da.sin(x).std(axis=0))"
    ),
)


def book(lab: LabServer, *cells: str) -> None:
    known = {"metadata": {}, "outputs": [], "execution_count": None, "cell_type": "code"}
    content = {
        "cells": [{**known, "id": f"c{n}", "source": cell} for n, cell in enumerate(cells)],
        "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    (lab.notebooks / "flights.ipynb").write_text(json.dumps(content))


def make(lab: LabServer, name: str, workers: int, what: str = "0.25", wait: bool = True) -> str:
    body = {"workers": workers, "per_worker": what, "name": name, "idle_seconds": 1800}
    made: dict[str, Any] = lab.api("POST", "clusters", body)

    def up() -> bool:
        now = lab.api("GET", f"clusters/{made['id']}")
        return sum(one["state"] == "running" for one in now["workers"]) >= workers

    if wait:
        wait_for(up, 90, f"{name} runs")
    return str(made["id"])


def opened(browser: Browser, lab: LabServer, dark: bool = False) -> Page:
    context = browser.new_context(viewport={"width": 1400, "height": 940}, locale="en-US")
    page = context.new_page()
    page.goto(f"{lab.url}lab/workspaces/p{dark}?token={lab.token}&reset")
    page.wait_for_function("window.jupyterapp && window.jupyterapp.restored")
    page.evaluate("() => window.jupyterapp.restored.then(() => true)")
    theme = "JupyterLab Dark" if dark else "JupyterLab Light"
    run(page, "apputils:change-theme", theme=theme)
    page.wait_for_selector(f"body[data-jp-theme-light='{str(not dark).lower()}']", state="attached")
    page.evaluate("() => window.jupyterapp.shell.activateById('gpu-workbench-panel')")
    page.wait_for_selector("[data-testid='gw-panel'][data-phase='ready']")
    page.evaluate(
        "() => { const all = window.jupyterapp.shell._hsplitPanel;"
        " all.setRelativeSizes([320, 1080]); }"
    )
    return page


def panel_at(page: Page, section: str) -> None:
    page.get_by_test_id(section).evaluate("one => one.scrollIntoView({block: 'start'})")


def at_work(browser: Browser, lab: LabServer, into: Path) -> None:
    book(lab, *WORK)
    made = make(lab, "flights", 4)
    for dark in (False, True):
        page = opened(browser, lab, dark)
        run(page, "docmanager:open", path="flights.ipynb")
        page.get_by_text(re.compile(r"\| Idle")).wait_for(timeout=60_000)
        for name, label in (("task-stream", "Task stream"), ("progress", "Progress")):
            shown = {"id": made, "name": "flights", "page": f"individual-{name}", "label": label}
            run(page, "gpu-workbench:open-dask-page", **shown)
            frame = page.frame_locator(f"[data-page='individual-{name}'] iframe")
            frame.locator(".bk-Figure").first.wait_for(timeout=60_000)
        run(page, "docmanager:open", path="flights.ipynb")
        page.evaluate("() => { window.jupyterapp.commands.execute('notebook:run-all-cells'); }")
        panel_at(page, "gw-mine")
        use = page.get_by_test_id("gw-cluster-use").locator("[role=meter]")
        wait_for(lambda use=use: int(use.get_attribute("aria-valuenow") or 0) > 15, 150, "it works")
        page.wait_for_timeout(5000)
        picture(page, "clusters-dark" if dark else "clusters-light", into)
        page.evaluate("() => { window.jupyterapp.commands.execute('kernelmenu:shutdown'); }")
        page.context.close()
        for session in lab.jupyter("GET", "sessions"):
            lab.jupyter("DELETE", f"sessions/{session['id']}")
    page = opened(browser, lab)
    count = page.get_by_test_id("gw-cluster-count")
    count.fill("11")
    count.press("Enter")
    page.get_by_test_id("gw-cluster").get_by_test_id("gw-trouble").wait_for()
    panel_at(page, "gw-clusters")
    picture(page, "clusters-refused", into)
    lab.api("DELETE", f"clusters/{made}")
    page.context.close()


def many(browser: Browser, lab: LabServer, into: Path) -> None:
    page = opened(browser, lab)
    for name in ("etl", "features", "embeddings"):
        make(lab, name, 2)
    make(lab, "boosting", 1, "1g.10gb")
    make(lab, "large join", 1, "gpu", wait=False)
    make(lab, "later", 1, "gpu", wait=False)
    panel_at(page, "gw-clusters")
    page.get_by_text("waiting").first.wait_for()
    page.wait_for_timeout(3000)
    panel_at(page, "gw-mine")
    picture(page, "clusters-many", into)
    page.context.close()


def form(browser: Browser, lab: LabServer, into: Path) -> None:
    for dark in (False, True):
        page = opened(browser, lab, dark)
        page.get_by_test_id("gw-form-purpose-cluster").click()
        page.get_by_test_id("gw-preset").nth(1).click()
        page.get_by_test_id("gw-form-most").fill("8")
        page.get_by_test_id("gw-form-submit").scroll_into_view_if_needed()
        picture(page, "clusters-form-dark" if dark else "clusters-form", into)
        page.context.close()


def over(browser: Browser, lab: LabServer, into: Path) -> None:
    """One that is over says which slice would have done."""
    page = opened(browser, lab)
    made = make(lab, "flights", 2, "0.5")
    page.wait_for_timeout(4000)
    lab.api("DELETE", f"clusters/{made}")
    page.get_by_test_id("gw-cluster-again").click()
    page.get_by_test_id("gw-cluster-hint").scroll_into_view_if_needed()
    picture(page, "clusters-hint", into)
    page.context.close()


def main() -> None:
    into = Path(sys.argv[1]) if len(sys.argv) > 1 else IMAGES
    into.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as root, chromium() as browser:
        policy = Path(root) / "policy.toml"
        policy.write_text(POLICY)
        with lab_with(Path(root), FLEET, policy_file=str(policy)) as lab:
            for scene in (form, over, at_work, many):
                if scene.__name__ in (sys.argv[2:] or [scene.__name__]):
                    scene(browser, lab, into)


if __name__ == "__main__":
    main()
