"""A sweep as somebody runs it in JupyterLab, without code: from the form to the best run.

Real jobs on simulated slices. Everything here is done by keyboard, too.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import Locator, Page, expect

from tests.support.lab import LabServer
from tests.support.trainings import SWEPT
from tests.support.waiting import wait_for

from .conftest import shoot
from .pages import at, command, open_panel
from .test_jobs import SLOW, page_of, points, put, serious

Open = Callable[..., Page]


def runs(sweep: Locator, state: str = "") -> Locator:
    wanted = f"[data-state='{state}']" if state else ""
    return sweep.locator(f"[data-testid='gw-sweep-run']{wanted}")


def test_from_the_form_to_the_best_of_several_values_and_their_curves(
    open_lab: Open, lab: LabServer
) -> None:
    put(lab, "swept.py", SWEPT)
    page = open_lab(width=1400, height=900)
    command(page, "gpu-workbench:new-sweep")
    form = at(page, "gw-newjob")
    at(form, "gw-newjob-script").fill("swept.py")
    at(form, "gw-newjob-args").fill("--steps 40 --lr 0.5 --pause 0.05")
    form.locator("[data-testid='gw-card'][data-profile='fraction-0.25']").click()
    at(form, "gw-form-count").fill("1")
    expect(at(form, "gw-newjob-sweep")).to_be_checked()

    # What is not whole yet is said in place, and nothing is lost by it.
    at(form, "gw-newjob-start").press("Enter")
    expect(form).to_contain_text("Look at what is marked above.")
    name = at(form, "gw-newjob-param-name")
    expect(name).to_have_attribute("aria-invalid", "true")
    name.fill("lr")
    name.press("Tab")
    page.keyboard.type("0.01, 0.02")
    at(form, "gw-newjob-param-add").press("Enter")
    expect(name).to_have_count(2)
    name.last.fill("width")
    at(form, "gw-newjob-param-values").last.fill("32..128 x2")
    expect(at(form, "gw-newjob-runs")).to_have_text(
        "6 jobs: lr=0.01 width=32; lr=0.01 width=64; lr=0.01 width=128; …"
    )
    at(form, "gw-newjob-atmost").fill("2")
    shoot(page, "sweep-form")
    assert serious(page, "gw-newjob") == []
    expect(at(form, "gw-newjob-start")).to_have_text("Start 6 jobs")
    at(form, "gw-newjob-start").press("Enter")

    # One page for all of them: never more than two go on, the others wait their turn.
    sweep = at(page, "gw-sweep")
    expect(runs(sweep)).to_have_count(6)
    expect(runs(sweep, "pending").first).to_be_visible()
    assert serious(page, "gw-sweep") == []
    expect(runs(sweep, "succeeded").first).to_be_visible(timeout=SLOW)
    shoot(page, "sweep-light")
    expect(sweep).to_have_attribute("data-state", "done", timeout=SLOW)
    expect(at(sweep, "gw-sweep-count")).to_have_text("6 of 6 over")
    expect(at(sweep, "gw-sweep-best")).to_contain_text("lr=0.02 width=32: 0.057")
    expect(sweep.locator("[data-best='true']")).to_have_attribute("data-number", "3")
    started = [one for one in lab.api("GET", "jobs")["jobs"] if one["sweep"]]
    assert all(one["command"].count("--lr") == 1 for one in started), "0.5 gave way to each value"

    # By a column, up and down.
    column = at(sweep, "gw-sweep-sort-loss")
    column.press("Enter")
    expect(runs(sweep).first).to_have_attribute("data-number", "3")
    column.press("Enter")
    expect(runs(sweep).first).to_have_attribute("data-number", "2")

    # Curves over each other: those that were ticked.
    for number in (0, 3):
        at(sweep.locator(f"[data-number='{number}']"), "gw-sweep-choice").press("Space")
    expect(at(sweep, "gw-sweep-compare")).to_have_text("Compare curves (2)")
    at(sweep, "gw-sweep-compare").press("Enter")
    compare = at(page, "gw-compare")
    expect(at(compare, "gw-compare-job")).to_have_count(2)
    expect(at(compare, "gw-compare-spec")).to_contain_text("--lr")
    wait_for(lambda: points(at(compare, "gw-curve-loss")) > 30, what="both curves are read")

    # In the panel they are one row, which leads back; a job's page knows its sweep.
    panel = open_panel(page)
    row = at(panel, "gw-sweep-row").filter(has_text="best lr=0.02 width=32: 0.057")
    expect(row).to_have_count(1)
    expect(at(panel, "gw-job").filter(has_text="swept.py lr=")).to_have_count(0)
    at(row, "gw-sweep-open").press("Enter")
    expect(sweep).to_be_visible()
    at(sweep.locator("[data-best='true']"), "gw-sweep-job").press("Enter")
    job = at(page, "gw-jobpage")
    expect(job).to_contain_text("swept.py lr=0.02 width=32")
    at(job, "gw-jobpage-of-sweep").press("Enter")
    expect(sweep).to_be_visible()


def test_a_job_is_swept_from_its_page_and_the_sweep_stopped(open_lab: Open, lab: LabServer) -> None:
    put(lab, "swept.py", SWEPT)
    body = {"ranks": 1, "per_rank": "0.25", "script": "swept.py", "cwd": str(lab.notebooks)}
    job = lab.api("POST", "jobs", {**body, "args": ["--lr", "0.5", "--steps", "5"]})["id"]
    page = open_lab(dark=True)
    shown = page_of(page, job)
    expect(shown).to_have_attribute("data-state", "succeeded", timeout=SLOW)
    at(shown, "gw-jobpage-sweep").press("Enter")
    form = at(page, "gw-newjob")
    expect(form).to_have_attribute("data-from", job)
    expect(at(form, "gw-newjob-args")).to_have_value("--lr 0.5 --steps 5")
    at(form, "gw-newjob-param-name").fill("steps")
    at(form, "gw-newjob-param-values").fill("100000..100003")
    at(form, "gw-newjob-atmost").fill("1")
    at(form, "gw-newjob-start").press("Enter")
    sweep = at(page, "gw-sweep")
    expect(runs(sweep, "running")).to_have_count(1, timeout=SLOW)
    expect(runs(sweep, "pending")).to_have_count(3)
    value = runs(sweep, "running").locator("td").nth(3)
    expect(value).to_have_text(re.compile(r"\d"))  # while it runs
    shoot(page, "sweep-dark")
    at(sweep, "gw-sweep-stop").press("Enter")
    page.locator(".jp-Dialog .jp-mod-warn").press("Enter")
    expect(sweep).to_have_attribute("data-state", "stopped", timeout=SLOW)
    expect(runs(sweep, "stopped")).to_have_count(4)
    expect(at(sweep, "gw-sweep-best")).to_have_text("none has ended well yet")
    assert serious(page, "gw-sweep") == []
