"""Pictures of jobs for the docs, in reduced size: `python -m tests.support.job_pictures [DIR]`.

A real server, a real browser, real torch ranks on simulated GPUs; one of them is killed.
"""

from __future__ import annotations

import os
import secrets
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Locator, Page, expect

from tests.support.dashboards import chromium, hold, lab_with, run
from tests.support.lab import LabServer
from tests.support.pictures import IMAGES, SIXTEEN, picture
from tests.support.trainings import SWEPT, TRAIN, training
from tests.support.waiting import wait_for

SLOW = 120_000

# Sixteen light ranks, one of them slower, and lines in colours. No torch: it starts at once.
MANY = """
import math, os, random, time
import gpu_workbench as gw
rank = int(os.environ["RANK"])
random.seed(rank)
for step in range(5000):
    loss = 2.3 * math.exp(-step / 60) + 0.2 + 0.08 * random.random()
    gw.log(step, loss=loss, accuracy=1 - loss / 3, lr=0.1 * 0.995**step)
    print(f"\\x1b[36m{step:5d}\\x1b[0m loss \\x1b[1m{loss:.4f}\\x1b[0m", flush=True)
    time.sleep(0.25 if rank == 3 else 0.14)
"""


def opened(browser: Browser, server: LabServer, dark: bool = False) -> Page:
    context = browser.new_context(
        viewport={"width": 1400, "height": 860}, locale="en-US", reduced_motion="reduce"
    )
    context.set_default_timeout(60_000)
    page = context.new_page()
    page.goto(f"{server.url}lab/workspaces/j{secrets.token_hex(4)}?token={server.token}&reset")
    page.wait_for_function("window.jupyterapp && window.jupyterapp.restored")
    page.evaluate("() => window.jupyterapp.restored.then(() => true)")
    if dark:
        run(page, "apputils:change-theme", theme="JupyterLab Dark")
        page.wait_for_selector("body[data-jp-theme-light='false']", state="attached")
    page.evaluate("() => window.jupyterapp.shell.activateById('gpu-workbench-panel')")
    return page


def start(server: LabServer, *args: str, **spec: Any) -> str:
    return str(server.api("POST", "jobs", training(server, *args, **spec))["id"])


def page_of(page: Page, job: str, tab: str = "metrics") -> Locator:
    run(page, "gpu-workbench:open-job", id=job, tab=tab)
    shown = page.locator(f"[data-testid='gw-jobpage'][data-job='{job}']")
    expect(shown).to_be_visible()
    return shown


def ended(server: LabServer, job: str) -> None:
    wait_for(lambda: server.api("GET", f"jobs/{job}")["ended_at"] is not None, 120, "it is over")


def step_of(server: LabServer, job: str) -> int:
    return int(server.api("GET", f"jobs/{job}")["step"] or 0)


def one(browser: Browser, root: Path, into: Path) -> None:
    """From the form over a failure to the comparison."""
    with lab_with(root, SIXTEEN, lease_ttl=60) as server:
        (server.notebooks / "train.py").write_text(TRAIN)
        hold(server, "gpu", count=6, name="sweep.ipynb")
        page = opened(browser, server)
        run(page, "gpu-workbench:new-job")
        form = page.get_by_test_id("gw-newjob")
        form.get_by_test_id("gw-newjob-script").fill("train.py")
        form.get_by_test_id("gw-newjob-args").fill("--steps 900 --lr 0.01")
        form.locator("[data-testid='gw-card'][data-profile='fraction-0.5']").first.click()
        picture(page, "job-form", into)
        first = start(server, "--steps", "120", "--lr", "0.004", "--pause", "0.02", name="slow lr")
        ended(server, first)
        job = start(server, "--steps", "900", "--pause", "0.06", name="train.py", per_rank="0.5")
        wait_for(lambda: step_of(server, job) > 105, 120, "some steps")
        shown = page_of(page, job)
        shown.get_by_test_id("gw-curves-ranks").check()
        shown.get_by_test_id("gw-curves-log").check()
        expect(
            shown.get_by_test_id("gw-curve-gpu").get_by_test_id("gw-chart-value").first
        ).to_contain_text("%")
        picture(page, "job-light", into)
        os.kill(server.api("GET", f"jobs/{job}")["ranks"][1]["pid"], signal.SIGKILL)
        expect(shown).to_have_attribute("data-state", "failed", timeout=SLOW)
        expect(shown.get_by_test_id("gw-diagnosis-resume")).to_be_visible()
        picture(page, "job-failed", into)
        run(page, "gpu-workbench:compare-jobs", ids=[job, first])
        expect(page.get_by_test_id("gw-compare-spec")).to_be_visible()
        page.wait_for_timeout(1500)
        picture(page, "job-compare", into)
        page.context.close()


def many(browser: Browser, root: Path, into: Path) -> None:
    """Sixteen ranks, several jobs, one that waits; in the dark."""
    with lab_with(root, SIXTEEN, lease_ttl=60) as server:
        (server.notebooks / "train.py").write_text(MANY)
        page = opened(browser, server, dark=True)
        job = start(server, ranks=16, per_rank="0.25", name="sixteen", launcher="torch")
        start(server, ranks=8, per_rank="gpu", name="large-model")
        wait_for(lambda: step_of(server, job) > 60, 240, "some steps")
        shown = page_of(page, job)
        shown.get_by_test_id("gw-curves-ranks").check()
        page.wait_for_timeout(4000)
        picture(page, "job-many", into)
        page_of(page, job, "ranks")
        page.wait_for_timeout(1500)
        picture(page, "job-ranks", into)
        page_of(page, job, "logs")
        page.wait_for_timeout(1500)
        picture(page, "job-logs", into)
        page.context.close()
        server.api("POST", f"jobs/{job}/stop")
        ended(server, job)


def swept(browser: Browser, root: Path, into: Path) -> None:
    """A sweep from its form, half-way, and in the dark; TensorBoard on one of its runs."""
    with lab_with(root, SIXTEEN, lease_ttl=60) as server:
        (server.notebooks / "train.py").write_text(SWEPT)
        page = opened(browser, server)
        run(page, "gpu-workbench:new-sweep")
        form = page.get_by_test_id("gw-newjob")
        form.get_by_test_id("gw-newjob-script").fill("train.py")
        form.get_by_test_id("gw-newjob-args").fill("--steps 150 --pause 0.06")
        form.get_by_test_id("gw-form-count").fill("1")
        form.locator("[data-testid='gw-card'][data-profile='fraction-0.25']").first.click()
        form.get_by_test_id("gw-newjob-param-name").fill("lr")
        form.get_by_test_id("gw-newjob-param-values").fill("1e-3..1 x10, 0.02")
        form.get_by_test_id("gw-newjob-param-add").click()
        form.get_by_test_id("gw-newjob-param-name").last.fill("width")
        form.get_by_test_id("gw-newjob-param-values").last.fill("32..128 x2")
        form.get_by_test_id("gw-newjob-atmost").fill("3")
        form.get_by_test_id("gw-newjob-goal").scroll_into_view_if_needed()
        picture(page, "sweep-form", into)
        form.get_by_test_id("gw-newjob-start").click()
        sweep = page.get_by_test_id("gw-sweep")
        done = sweep.locator("[data-testid='gw-sweep-run'][data-state='succeeded']")
        expect(done.nth(6)).to_be_visible(timeout=SLOW)
        running = sweep.locator("[data-testid='gw-sweep-run'][data-state='running']")
        expect(running.first).to_be_visible(timeout=SLOW)
        picture(page, "sweep-light", into)
        run(page, "apputils:change-theme", theme="JupyterLab Dark")
        page.wait_for_selector("body[data-jp-theme-light='false']", state="attached")
        expect(sweep).to_have_attribute("data-state", "done", timeout=SLOW)
        sweep.locator("[data-testid^='gw-sweep-sort-loss']").click()
        picture(page, "sweep-dark", into)
        run(page, "apputils:change-theme", theme="JupyterLab Light")
        sweep.get_by_test_id("gw-sweep-job").first.click()
        page.get_by_test_id("gw-jobpage-board").click()
        board = page.get_by_test_id("gw-board")
        expect(board).to_have_attribute("data-state", "ready", timeout=SLOW)
        frame = page.frame_locator("[data-testid='gw-board'] iframe")
        expect(frame.get_by_text("loss", exact=True).first).to_be_visible(timeout=SLOW)
        page.wait_for_timeout(2000)
        picture(page, "job-tensorboard", into)
        page.context.close()


def resumed(browser: Browser, root: Path, into: Path) -> None:
    """A run that goes on from another's checkpoint, with its curve before it; light and dark."""
    with lab_with(root, SIXTEEN, lease_ttl=60) as server:
        (server.notebooks / "train.py").write_text(TRAIN)
        page = opened(browser, server)
        arguments = ("--steps", "420", "--lr", "0.004", "--pause", "0.02")
        first = start(server, *arguments, name="train.py")
        wait_for(lambda: step_of(server, first) > 205, 120, "some steps")
        server.api("POST", f"jobs/{first}/stop")
        ended(server, first)
        second = server.api("POST", f"jobs/{first}/resume", {})["id"]
        ended(server, second)
        shown = page_of(page, second)
        expect(shown.get_by_test_id("gw-curve-loss")).to_be_visible()
        shown.get_by_test_id("gw-curves-log").check()
        page.wait_for_timeout(1500)
        picture(page, "job-resumed", into)
        run(page, "apputils:change-theme", theme="JupyterLab Dark")
        page.wait_for_timeout(1500)
        picture(page, "job-resumed-dark", into)
        page.context.close()


def main() -> None:
    into = Path(sys.argv[1]) if len(sys.argv) > 1 else IMAGES
    into.mkdir(parents=True, exist_ok=True)
    scenes = {scene.__name__: scene for scene in (one, many, swept, resumed)}
    for scene in [scenes[name] for name in sys.argv[2:]] or scenes.values():
        with tempfile.TemporaryDirectory() as root, chromium() as browser:
            scene(browser, Path(root), into)


if __name__ == "__main__":
    main()
