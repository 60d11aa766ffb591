"""A training job as somebody runs it in JupyterLab: from the form to a resumed run's success.

Real torch ranks on simulated slices. A rank is killed, the page says which and why, and the run
goes on from its last whole checkpoint.
"""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect

from tests.support.lab import LabServer
from tests.support.trainings import TRAIN, training
from tests.support.waiting import wait_for

from .conftest import shoot
from .pages import at, command, notebook, open_panel

Open = Callable[..., Page]
SLOW = 120_000  # torch is imported by each rank, on a busy machine


def put(lab: LabServer, name: str, text: str) -> None:
    path = lab.notebooks / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def start(lab: LabServer, *args: str, ranks: int = 2, **spec: Any) -> str:
    """A job by the API, where the form is not what a test is about; its id."""
    put(lab, "train.py", TRAIN)
    job: dict[str, Any] = lab.api("POST", "jobs", training(lab, *args, ranks=ranks, **spec))
    return str(job["id"])


def page_of(page: Page, job: str, tab: str = "metrics") -> Locator:
    command(page, "gpu-workbench:open-job", id=job, tab=tab)
    found = page.locator(f"[data-testid='gw-jobpage'][data-job='{job}']")
    expect(found).to_be_visible()
    return found


def serious(page: Page, testid: str) -> list[str]:
    """What axe finds there that keeps people out."""
    found = Axe().run(page, context=f"[data-testid='{testid}']").response["violations"]
    return [
        f"{one['id']}: {one['help']}: {[node['html'][:160] for node in one['nodes']]}"
        for one in found
        if one["impact"] in ("serious", "critical")
    ]


def points(curve: Locator) -> int:
    return int(curve.get_attribute("data-points") or 0)


def test_from_the_form_over_a_killed_rank_and_its_diagnosis_to_a_resumed_success(
    open_lab: Open, lab: LabServer
) -> None:
    put(lab, "runs/train.py", TRAIN)
    page = open_lab(width=1400, height=900)
    command(page, "gpu-workbench:new-job")
    form = at(page, "gw-newjob")

    # What is missing is said in place; nothing is lost by it.
    at(form, "gw-newjob-args").fill("--steps 900 --pause 0.2")
    at(form, "gw-newjob-start").click()
    expect(form).to_contain_text("Which script?")
    at(form, "gw-newjob-script").fill("runs/nowhere.py")
    offers = at(form, "gw-newjob-offers").locator("option[value='runs/train.py']")
    expect(offers).to_have_count(1)
    at(form, "gw-newjob-start").click()
    problem = at(form, "gw-newjob-problem")
    expect(problem).to_have_attribute("data-code", "bad_request")
    expect(problem).to_contain_text("There is no script")
    expect(at(form, "gw-newjob-args")).to_have_value("--steps 900 --pause 0.2")

    # The script picker is JupyterLab's own.
    at(form, "gw-newjob-browse").click()
    dialog = page.locator(".jp-Dialog")
    dialog.locator(".jp-DirListing-item", has_text="runs").dblclick()
    dialog.locator(".jp-DirListing-item", has_text="train.py").click()
    dialog.locator(".jp-mod-accept").click()
    expect(at(form, "gw-newjob-script")).to_have_value("runs/train.py")
    card = form.locator("[data-testid='gw-card'][data-profile='fraction-0.25']")
    expect(card).to_contain_text("now")
    card.click()
    expect(at(form, "gw-newjob-cost")).to_have_text("2 × 1/4 GPU costs 0.5 GPU")
    shoot(page, "job-form")
    assert serious(page, "gw-newjob") == []
    at(form, "gw-newjob-start").click()

    # The job's page: a curve that grows while one looks.
    job = at(page, "gw-jobpage")
    expect(job).to_have_attribute("data-state", "running", timeout=SLOW)
    loss = at(job, "gw-curve-loss")
    expect(loss).to_be_visible(timeout=SLOW)
    wait_for(lambda: points(loss) > 5, what="a first piece of the curve")
    seen = points(loss)
    wait_for(lambda: points(loss) > seen + 10, what="the curve grows")
    expect(at(job, "gw-jobpage-facts")).to_contain_text("2 × 1/4 GPU")
    at(job, "gw-curves-ranks").check()
    expect(at(loss, "gw-chart-value")).to_have_count(2)
    at(job, "gw-curves-log").check()
    at(job, "gw-curves-along").select_option("time")
    expect(at(at(job, "gw-curve-gpu"), "gw-chart-value").first).to_contain_text("%")
    _reads_a_curve_by_keyboard(page, job)
    at(job, "gw-curves-along").select_option("step")
    shoot(page, "job-light")
    assert serious(page, "gw-jobpage") == []

    # Each rank's log, live, with its colours.
    at(job, "gw-job-tab-logs").click()
    text = at(job, "gw-logs-text")
    expect(text).to_contain_text("rank 0 step")
    expect(text.locator(".gw-ansi-2").first).to_have_text("rank 0")
    at(job, "gw-logs-rank").select_option("1")
    expect(text).to_contain_text("rank 1 step")
    expect(text).not_to_contain_text("rank 0 step")
    lines = int(text.get_attribute("data-lines") or 0)
    wait_for(lambda: int(text.get_attribute("data-lines") or 0) > lines, what="the log goes on")
    at(job, "gw-logs-find").fill("step 1 ")
    expect(at(job, "gw-logs-found")).to_have_text("1 of 1")
    at(job, "gw-logs-only").check()
    expect(at(text, "gw-log-line")).to_have_count(1)
    at(job, "gw-logs-only").uncheck()
    at(job, "gw-logs-find").fill("")
    shoot(page, "job-logs")
    assert serious(page, "gw-jobpage") == []

    # Ranks: the owner sees the processes. One is killed.
    at(job, "gw-job-tab-ranks").click()
    row = job.locator("[data-testid='gw-rank-row'][data-rank='1']")
    expect(row).to_have_attribute("data-state", "running")
    first = str(job.get_attribute("data-job"))
    at(job, "gw-job-tab-checkpoints").click()
    wait_for(
        lambda: lab.api("GET", f"jobs/{first}/checkpoints")["checkpoints"], what="a checkpoint"
    )
    at(job, "gw-job-tab-ranks").click()
    pid = lab.api("GET", f"jobs/{first}")["ranks"][1]["pid"]
    expect(row).to_contain_text(str(pid))
    os.kill(pid, signal.SIGKILL)

    # The diagnosis stands first, names the rank, and brings the button that helps.
    diagnosis = at(job, "gw-diagnosis")
    expect(diagnosis).to_be_visible(timeout=SLOW)
    expect(job).to_have_attribute("data-state", "failed")
    expect(at(diagnosis, "gw-diagnosis-message")).to_contain_text("ank 1")
    expect(at(diagnosis, "gw-diagnosis-hint")).not_to_be_empty()
    resume = at(diagnosis, "gw-diagnosis-resume")
    kept = lab.api("GET", f"jobs/{first}/checkpoints")["checkpoints"]
    step = max(one["step"] for one in kept if one["whole"])
    # not the newest of those that were read while it ran
    expect(resume).to_contain_text(re.compile(f"Resume from step {step}\\b"))
    shoot(page, "job-failed")
    assert serious(page, "gw-jobpage") == []
    at(job, "gw-job-tab-logs").click()
    at(job, "gw-logs-stream").select_option("out")
    at(job, "gw-logs-find").fill("step 1 loss")
    at(job, "gw-logs-all").click()
    expect(at(job, "gw-logs-matches").get_by_role("listitem")).to_have_count(2)
    at(job, "gw-logs-matches").get_by_role("button", name="rank 0").click()
    expect(at(job, "gw-logs-rank")).to_have_value("0")
    expect(at(job, "gw-logs-found")).to_have_text("1 of 1")
    at(diagnosis, "gw-diagnosis-logs").click()
    expect(at(job, "gw-logs-rank")).to_have_value("1")
    expect(at(job, "gw-logs-rank").locator("option").first).to_have_text("1 · failed first")
    at(job, "gw-job-tab-checkpoints").click()
    newest = at(job, "gw-checkpoint").first
    expect(newest).to_contain_text("last whole one")
    expect(newest).to_have_attribute("data-step", str(step))

    # Resumed, it goes on from there to the end.
    resume.click()
    dialog.locator("input").fill("1")
    dialog.locator(".jp-mod-accept").click()
    second = page.locator(f"[data-testid='gw-jobpage']:not([data-job='{first}'])")
    expect(second).to_be_visible()
    expect(at(second, "gw-jobpage-parent")).to_have_text("train.py")
    expect(second).to_have_attribute("data-state", "succeeded", timeout=SLOW)
    at(second, "gw-job-tab-logs").click()
    expect(at(second, "gw-logs-text")).to_contain_text("done 0")
    at(second, "gw-logs-find").fill("goes on from step")
    expect(at(second, "gw-logs-found")).to_have_text("1 of 1")
    expect(at(second, "gw-logs-text")).to_contain_text(f"goes on from step {step + 1}")
    expect(at(second, "gw-jobpage-facts")).to_contain_text("held")

    # Its curve has the run before in front of it, along steps only.
    at(second, "gw-job-tab-metrics").click()
    curve = at(second, "gw-curve-loss")
    expect(curve).to_contain_text("the run before")
    wait_for(lambda: points(curve) > 899 - step + step // 2, what="both runs are drawn")
    shoot(page, "job-resumed")
    assert serious(page, "gw-jobpage") == []
    at(second, "gw-curves-along").select_option("time")
    expect(curve).not_to_contain_text("the run before")
    at(second, "gw-curves-along").select_option("step")

    # Both beside each other: the curves as one, and in what they differ.
    at(second, "gw-jobpage-compare").click()
    dialog.locator(".jp-mod-accept").click()
    compare = at(page, "gw-compare")
    expect(at(compare, "gw-compare-job")).to_have_count(2)
    expect(at(at(compare, "gw-curve-loss"), "gw-chart-value")).to_have_count(2)
    expect(at(compare, "gw-compare-spec")).to_contain_text("ranks")
    wait_for(lambda: points(at(compare, "gw-curve-loss")) > 100, what="both curves are read")
    shoot(page, "job-compare")
    assert serious(page, "gw-compare") == []


def _reads_a_curve_by_keyboard(page: Page, job: Locator) -> None:
    """Arrow keys move a cursor that all curves share. It stays where it is while they grow, and
    only keys announce."""
    loss = at(job, "gw-curve-loss")
    curve = loss.get_by_role("slider", name="loss")
    curve.focus()
    expect(curve).to_have_attribute("aria-valuetext", re.compile("^rank 0 "))
    for key in ("Home", "PageUp", "PageUp", "PageUp"):
        page.keyboard.press(key)
    both = re.compile(r"^\d\d:\d\d:\d\d, rank 0 [\d.]+, rank 1 [\d.]+$")
    expect(curve).to_have_attribute("aria-valuetext", both)
    said = str(curve.get_attribute("aria-valuetext"))
    shared = at(job, "gw-curve-gpu").locator(".gw-chart-at")
    expect(shared).to_be_visible()
    seen = points(loss)
    wait_for(lambda: points(loss) > seen + 10, what="the curve grows under the cursor")
    expect(loss.locator(".gw-chart-at")).to_have_text(said.partition(",")[0])
    expect(curve).to_have_attribute("aria-valuetext", said)
    page.keyboard.press("Escape")
    expect(shared).to_have_count(0)


def test_a_notebook_runs_as_a_job_from_its_toolbar_and_leaves_itself_with_outputs(
    open_lab: Open, lab: LabServer
) -> None:
    page = open_lab()
    notebook(page, lab, "import gpu_workbench as gw\ngw.log(1, score=0.5)", "print('seven', 7)")
    page.locator("[data-jp-item-name='gpuRunAsJob']:visible jp-button").click()
    dialog = page.locator(".jp-Dialog")
    expect(dialog).to_contain_text("Run look.ipynb as a job")
    dialog.locator("[data-testid='gw-card']").first.click()
    shoot(page, "job-notebook-dialog")
    dialog.locator(".jp-mod-accept").click()
    job = at(page, "gw-jobpage")
    expect(job).to_have_attribute("data-state", "succeeded", timeout=SLOW)
    expect(at(job, "gw-logs-text")).to_contain_text("seven 7")
    at(job, "gw-jobpage-notebook").click()
    name = f"look-{job.get_attribute('data-job')}.ipynb"
    expect(page.locator(".lm-TabBar-tab.lm-mod-current", has_text=name)).to_be_visible()
    expect(page.locator(".jp-Notebook:visible .jp-OutputArea").last).to_contain_text("seven 7")


def test_a_wait_is_explained_and_the_page_comes_back_with_the_layout(
    open_lab: Open, lab: LabServer
) -> None:
    held = [
        lab.api("POST", "requests", {"what": "gpu", "name": "long.ipynb", "seconds": 900}),
        lab.api("POST", "requests", {"what": "3g.40gb", "name": "b.ipynb", "seconds": 900}),
    ]
    job = start(lab, "--steps", "5", per_rank="0.5")
    page = open_lab(dark=True)
    panel = open_panel(page)
    row = panel.locator(f"[data-testid='gw-job'][data-job='{job}']")
    expect(row).to_have_attribute("data-state", "waiting")
    at(row, "gw-job-open").press("Enter")
    shown = page_of(page, job)
    wait = at(shown, "gw-jobpage-wait")
    expect(wait).to_contain_text("Position 1")
    expect(wait).to_contain_text(f"lease {held[0]['id']}")
    shoot(page, "job-waiting-dark")
    assert serious(page, "gw-jobpage") == []
    at(shown, "gw-job-tab-metrics").press("ArrowLeft")
    expect(at(shown, "gw-job-tab-spec")).to_be_focused()
    expect(at(shown, "gw-spec")).to_contain_text("--steps 5")

    wait_for(lambda: waited(page) and saved(page, job), what="the layout is saved")
    page.goto(page.url.split("?")[0])
    shown = page.locator(f"[data-testid='gw-jobpage'][data-job='{job}']")
    expect(shown).to_have_attribute("data-state", "waiting", timeout=40_000)
    expect(at(shown, "gw-spec")).to_be_visible()

    at(shown, "gw-jobpage-stop").press("Enter")
    page.locator(".jp-Dialog .jp-mod-warn").click()
    expect(shown).to_have_attribute("data-state", "stopped")
    at(shown, "gw-jobpage-again").press("Enter")
    form = at(page, "gw-newjob")
    expect(form).to_have_attribute("data-from", job)
    expect(at(form, "gw-newjob-args")).to_have_value("--steps 5")
    expect(at(form, "gw-form-count")).to_have_value("2")
    assert serious(page, "gw-newjob") == []


def waited(page: Page) -> bool:
    """Lets Playwright hand out what has happened meanwhile."""
    page.wait_for_timeout(50)
    return True


def saved(page: Page, job: str) -> bool:
    found = page.evaluate(
        "() => window.jupyterapp.serviceManager.workspaces.list()"
        ".then(all => JSON.stringify(all.values))"
    )
    return f"gpu-workbench-job:{job}" in found and '"tab":"spec"' in found


def test_a_log_of_many_megabytes_opens_at_its_end_and_does_not_freeze(
    open_lab: Open, lab: LabServer
) -> None:
    put(lab, "loud.py", LOUD)
    body = training(lab, ranks=1) | {"script": "loud.py", "args": []}
    job = lab.api("POST", "jobs", body)["id"]
    wait_for(lambda: lab.api("GET", f"jobs/{job}")["ended_at"] is not None, 90, "it has ended")
    page = open_lab()
    shown = page_of(page, job, "logs")
    text = at(shown, "gw-logs-text")
    expect(text).to_contain_text("the last line")
    assert at(text, "gw-log-line").count() < 200, "only what can be seen is in the page"
    lines = int(text.get_attribute("data-lines") or 0)
    at(shown, "gw-logs-earlier").click()
    wait_for(lambda: int(text.get_attribute("data-lines") or 0) > lines, what="more before it")
    by_itself = page.evaluate(FRAMES, False)  # what a busy machine makes of frames with no work
    # The page's own work is there each time; what else the machine does for a moment is not.
    longest = min(page.evaluate(FRAMES, True) for _ in range(3))
    assert longest < 500 + by_itself, f"a frame took {longest:.0f} ms, else {by_itself:.0f} ms"


LOUD = """
import sys
line = "x" * 100
for number in range(200_000):
    sys.stdout.write(f"{number} {line}\\n")
print("the last line", flush=True)
"""

# Scrolls from end to end, or not, and tells how long the longest frame took, in ms.
FRAMES = """
async scrolls => {
    const box = document.querySelector("[data-testid='gw-logs-text']");
    let longest = 0;
    let before = performance.now();
    for (let i = 0; i <= 60; i++) {
        if (scrolls) box.scrollTop = (box.scrollHeight * i) / 60;
        await new Promise(requestAnimationFrame);
        const now = performance.now();
        longest = Math.max(longest, now - before);
        before = now;
    }
    return longest;
}
"""


def test_who_does_not_look_asks_nothing(open_lab: Open, lab: LabServer) -> None:
    job = start(lab, "--steps", "100000", "--pause", "0.05", ranks=1)
    page = open_lab()
    shown = page_of(page, job, "logs")
    expect(at(shown, "gw-logs-text")).to_contain_text("rank 0 step", timeout=SLOW)
    command(page, "launcher:create")
    expect(shown).to_be_hidden()
    asked = [time.monotonic()]
    page.on("request", lambda one: f"jobs/{job}/" in one.url and asked.append(time.monotonic()))

    def for_four_seconds() -> bool:
        return waited(page) and time.monotonic() - asked[-1] > 4

    wait_for(for_four_seconds, what="nothing is asked")
    before = len(asked)
    page_of(page, job, "logs")
    wait_for(lambda: waited(page) and len(asked) > before, what="seen again, it goes on")
