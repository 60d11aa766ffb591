"""A Dask cluster from the panel, as a person makes, scales, uses, watches and stops it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psutil
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect

from tests.support.lab import LabServer
from tests.support.waiting import wait_for

from .conftest import shoot
from .pages import at, notebook, open_panel, run_cell

Open = Callable[..., Page]
# More than is done by the end of any test here, however slow the machine: each stops it itself.
BUSY = (
    "import time\n"
    "def burn(n):\n"
    "    end = time.time() + 0.5\n"
    "    while time.time() < end: pass\n"
    "    return bytearray(2 << 20)\n"
    "futures = client.map(burn, range(2000), pure=False)"
)
WAITING = "import time\nfutures = client.map(lambda n: time.sleep(0.5), range(2000), pure=False)"
"""As much to do as `BUSY`, by a slice that nobody would call busy."""


def row(panel: Locator, name: str) -> Locator:
    return at(panel, "gw-cluster").filter(has=panel.page.get_by_text(name, exact=True))


def up(cluster: Locator, workers: int) -> None:
    """So many workers run, as the panel says."""
    said = at(cluster, "gw-cluster-workers")
    expect(said).to_have_text(re.compile(rf"^{workers} of {workers} "), timeout=60_000)
    expect(cluster).to_have_attribute("data-state", "running")


def shown(bar: Locator) -> int:
    """What a bar says, in percent."""
    return int(bar.locator("[role=meter]").get_attribute("aria-valuenow") or 0)


@contextmanager
def time_stands_still(page: Page) -> Iterator[None]:
    """No timer of the page fires but by `page.clock.run_for`, however long one looks."""
    page.clock.install()
    page.clock.pause_at(time.time() + 1)
    yield
    page.clock.resume()


def made(lab: LabServer, name: str, workers: int = 1, **more: Any) -> dict[str, Any]:
    """A running cluster that was not made by hand."""
    body = {"workers": workers, "per_worker": "0.25", "name": name} | more
    cluster: dict[str, Any] = lab.api("POST", "clusters", body)

    def there() -> dict[str, Any] | None:
        now: dict[str, Any] = lab.api("GET", f"clusters/{cluster['id']}")
        ready = sum(one["state"] == "running" for one in now["workers"])
        return now if now["state"] == "running" and ready >= workers else None

    found = wait_for(there, 60, f"{name} runs")
    assert found is not None
    return found


def serious(page: Page, where: str) -> list[str]:
    found = Axe().run(page, context=where).response["violations"]
    return [
        f"{v['id']}: {v['help']}: {[n['html'][:160] for n in v['nodes']]}"
        for v in found
        if v["impact"] in ("serious", "critical")
    ]


def test_a_cluster_from_the_form_to_work_in_a_notebook_and_back(
    open_lab: Open, lab: LabServer
) -> None:
    page = open_lab(width=1400, height=1000)
    notebook(page, lab, "", name="flights.ipynb")
    panel = open_panel(page)
    at(panel, "gw-form-purpose-cluster").click()
    sizes = at(panel, "gw-preset")
    expect(sizes).to_have_count(3)
    medium = sizes.filter(has_text="medium")
    expect(medium).to_contain_text("2 × 1/4 GPU")
    expect(medium).to_have_attribute("data-when", "now")
    medium.click()
    expect(at(panel, "gw-form-count")).to_have_value("2")
    at(panel, "gw-form-name").fill("flights")
    shoot(page, "cluster-form")
    at(panel, "gw-form-submit").click()
    cluster = row(panel, "flights")
    expect(cluster).to_have_count(1)
    up(cluster, 2)
    workers = at(cluster, "gw-worker")
    expect(workers).to_have_count(2)

    slider = at(cluster, "gw-cluster-slider")
    with time_stands_still(page):  # left alone for a moment it is taken at its word
        slider.focus()
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowRight")
        page.clock.run_for(300)
        expect(at(cluster, "gw-scale-said")).to_contain_text("Asks for 2 more slices")
    up(cluster, 4)
    expect(workers).to_have_count(4)
    expect(slider).to_have_value("4")
    assert len(lab.leases()) == 4, "one lease for each worker"

    at(cluster, "gw-cluster-insert").click()
    cell = page.locator(".jp-Notebook:visible .jp-CodeCell .cm-content").last
    expect(cell).to_contain_text('client = gw.cluster(name="flights").get_client()')
    page.locator(".jp-Notebook:visible").press("Shift+Enter")
    expect(page.locator(".jp-OutputArea-output").last).to_contain_text("flights", timeout=40_000)
    run_cell(page, BUSY)
    use = at(cluster, "gw-cluster-use")
    wait_for(lambda: shown(use) > 5, what="the cluster's bar moves")
    for number in range(4):
        bar = at(workers.nth(number), "gw-worker-use")
        wait_for(lambda bar=bar: shown(bar) > 2, what=f"the bar of worker {number} moves")
    tasks = at(cluster, "gw-cluster-tasks")
    wait_for(lambda: int(tasks.inner_text()) > 0, what="tasks are counted")
    before = int(tasks.inner_text())
    wait_for(lambda: int(tasks.inner_text()) < before, what="tasks become fewer")
    host = at(workers.first, "gw-worker-host").locator("[role=meter]")
    expect(host).to_have_attribute("aria-valuetext", re.compile(r"^[\d.]+/[\d.]+ GB$"))
    shoot(page, "cluster-working")

    pids = [one["pid"] for one in lab.api("GET", "clusters")["clusters"][0]["workers"]]
    assert len(pids) == 4
    at(cluster, "gw-cluster-stop").click()
    dialog = page.locator(".jp-Dialog")
    expect(dialog).to_contain_text(re.compile(r"tasks? (is|are) not done"))
    shoot(page, "cluster-stop")
    dialog.locator("button.jp-mod-accept").click()
    expect(cluster).to_have_attribute("data-state", "ended", timeout=40_000)
    wait_for(lambda: not lab.leases(), what="no lease is left")
    wait_for(lambda: not any(map(psutil.pid_exists, pids)), what="no worker is left")
    expect(at(panel, "gw-free")).to_contain_text("2 of 2")


def test_one_that_grows_by_itself_is_set_up_by_keyboard_and_says_which_slice_would_have_done(
    open_lab: Open, lab: LabServer
) -> None:
    page = open_lab(width=1400, height=1000)
    notebook(page, lab, "", name="grow.ipynb")
    panel = open_panel(page)
    at(panel, "gw-form-purpose-cluster").click()
    card = at(panel, "gw-card").filter(has_text="1/2 GPU")
    card.click()  # once nothing moves any more: presets and cards are read meanwhile
    expect(card.locator("input")).to_be_checked()
    at(panel, "gw-form-count").fill("1")
    at(panel, "gw-form-most").focus()
    page.keyboard.type("0")
    expect(at(panel, "gw-form-most")).to_have_attribute("aria-invalid", "true")
    expect(at(panel, "gw-form-submit")).to_be_disabled()
    page.keyboard.press("Backspace")
    page.keyboard.type("2")
    expect(at(panel, "gw-form-grows")).to_contain_text("and back to 1")
    expect(at(panel, "gw-form-cost")).to_have_text("costs 0.5 to 1 GPU")
    found = serious(page, "[data-testid='gw-panel']")
    assert not found, "\n".join(found)
    shoot(page, "cluster-grows")
    at(panel, "gw-form-name").fill("grows")
    page.keyboard.press("Enter")
    cluster = row(panel, "grows")
    up(cluster, 1)
    expect(at(cluster, "gw-scale-said")).to_have_text("Adapts by itself, 1 to 2.")

    code = 'import gpu_workbench as gw\nclient = gw.cluster(name="grows").get_client()\n'
    run_cell(page, code + WAITING)
    up(cluster, 2)
    at(cluster, "gw-cluster-stop").click()
    page.locator(".jp-Dialog button.jp-mod-accept").click()
    expect(cluster).to_have_attribute("data-state", "ended", timeout=40_000)
    expect(at(cluster, "gw-cluster-hint")).to_contain_text("Next time: peak ")
    shoot(page, "cluster-hint")
    at(cluster, "gw-cluster-again").press("Enter")
    expect(at(panel, "gw-form-submit")).to_be_focused()
    expect(at(panel, "gw-form-most")).to_have_value("2")
    expect(at(panel, "gw-form-name")).to_have_value("grows")
    chosen = at(panel, "gw-card").filter(has=page.locator("input:checked"))
    expect(chosen).not_to_contain_text("1/2 GPU")
    page.keyboard.press("Enter")
    wait_for(lambda: alive(lab, "grows"), what="it is there again, smaller")


def alive(lab: LabServer, name: str) -> bool:
    found = lab.api("GET", "clusters")["clusters"]
    return any(one["name"] == name and one["ended_at"] is None for one in found)


def test_client_code_is_dragged_to_where_it_is_dropped(open_lab: Open, lab: LabServer) -> None:
    made(lab, "drops")
    page = open_lab(width=1400, height=1000)
    notebook(page, lab, "first = 1", "second = 2", name="drop.ipynb")
    grip = at(row(open_panel(page), "drops"), "gw-cluster-insert")
    second = page.locator(".jp-Notebook:visible .jp-Cell").nth(1)
    grip.hover(position={"x": 8, "y": 8})  # when it has come to rest
    start = grip.bounding_box()
    assert start
    page.mouse.down()
    page.mouse.move(start["x"] + 30, start["y"] + 8, steps=4)
    expect(page.locator(".gw-drag")).to_contain_text('gw.cluster(name="drops")')
    end = second.bounding_box()
    assert end
    page.mouse.move(end["x"] + 80, end["y"] + 8, steps=8)
    shoot(page, "cluster-drag")
    page.mouse.up()
    cells = page.locator(".jp-Notebook:visible .jp-CodeCell .cm-content")
    expect(cells).to_have_count(3)
    expect(cells.nth(1)).to_contain_text('gw.cluster(name="drops").get_client()')
    expect(page.locator(".gw-drag")).to_have_count(0)


def frame_of(page: Page, name: str) -> Any:
    return page.frame_locator(f"[data-testid='gw-pane'][data-page='{name}'] iframe")


def test_dasks_pages_open_beside_the_notebook_and_are_there_again_after_a_reload(
    open_lab: Open, lab: LabServer
) -> None:
    made(lab, "pages", workers=2)
    page = open_lab(width=1500, height=1000)
    cluster = row(open_panel(page), "pages")
    for label in ("Task stream", "Workers"):
        at(cluster, "gw-cluster-panes").click()
        page.locator(".lm-Menu-item").filter(has_text=re.compile(f"^{label}$")).click()
    expect(page.locator(".lm-TabBar-tab").filter(has_text="pages: Task stream")).to_be_visible()
    expect(frame_of(page, "individual-task-stream").locator(".bk-Figure")).to_be_visible()
    workers = frame_of(page, "individual-workers").locator(".bk-Column, .bk-DataTable").first
    expect(workers).to_be_visible()
    shoot(page, "cluster-panes")
    # All others are found, too, by the keyboard alone.
    at(cluster, "gw-cluster-panes").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".lm-Menu")).to_be_focused()
    page.keyboard.press("ArrowUp")
    expect(page.locator(".lm-Menu-item.lm-mod-active")).to_have_count(1)
    page.keyboard.press("Enter")
    dialog = page.locator(".jp-Dialog")
    expect(dialog).to_contain_text("Dask's pages of pages")
    dialog.locator("select").select_option("Scheduler system")
    page.keyboard.press("Enter")
    expect(
        frame_of(page, "individual-scheduler-system").locator(".bk-Figure").first
    ).to_be_visible()

    wait_for(lambda: saved(lab, "individual-scheduler-system"), what="the layout is saved")
    page.goto(page.url.split("?")[0])
    page.wait_for_function("window.jupyterapp && window.jupyterapp.restored")
    expect(at(page, "gw-pane")).to_have_count(3)
    page.locator(".lm-TabBar-tab").filter(has_text="pages: Task stream").click()
    expect(frame_of(page, "individual-task-stream").locator(".bk-Figure")).to_be_visible()
    lab.api("DELETE", f"clusters/{lab.api('GET', 'clusters')['clusters'][0]['id']}")
    pane = page.locator("[data-page='individual-task-stream']")
    expect(pane).to_contain_text("pages has ended", timeout=30_000)
    expect(pane.locator("iframe")).to_have_count(0)


def saved(lab: LabServer, word: str) -> bool:
    """Whether JupyterLab has written a layout with that word."""
    folder = lab.root / "workspaces"
    return any(word in one.read_text() for one in folder.glob("*.jupyterlab-workspace"))


def test_more_workers_wait_with_a_reason_and_too_many_are_refused_with_the_number(
    open_lab: Open, lab: LabServer
) -> None:
    held = lab.api("POST", "requests", {"what": "0.5", "name": "long.ipynb"})
    made(lab, "waits", workers=1)
    page = open_lab(width=1400, height=1000)
    cluster = row(open_panel(page), "waits")
    slider = at(cluster, "gw-cluster-slider")
    box = slider.bounding_box()
    assert box
    with time_stands_still(page):  # where it is left, slices are asked for in a moment
        slider.click(position={"x": box["width"] - 4, "y": box["height"] / 2})
        page.clock.run_for(300)
        expect(at(cluster, "gw-scale-when")).to_have_attribute("data-when", "queued")
        expect(at(cluster, "gw-scale-said")).to_contain_text("3 more slices")
        page.keyboard.press("Escape")
        expect(slider).to_have_value("1")

    slider.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")  # without waiting until it has been still
    message = at(cluster, "gw-cluster-message")
    expect(message).to_contain_text("waiting for lease 3 of 3: position 1", timeout=30_000)
    expect(message).to_contain_text(f"lease {held['id']}")
    expect(at(cluster, "gw-cluster-workers")).to_have_text(re.compile("^2 of 3 "), timeout=30_000)
    shoot(page, "cluster-waiting")

    count = at(cluster, "gw-cluster-count")
    count.fill("9")
    expect(at(cluster, "gw-scale-when")).to_have_attribute("data-when", "never")
    count.press("Enter")
    expect(at(cluster, "gw-trouble")).to_contain_text("9 × 1/4 GPU are more than")
    expect(at(cluster, "gw-trouble")).to_contain_text("Ask for at most 4")
    expect(count).to_have_value("3")
    shoot(page, "cluster-refused")

    lab.api("DELETE", f"leases/{held['id']}")
    up(cluster, 3)
    lost = next(one["id"] for one in lab.leases() if one["purpose"] == "cluster")
    lab.api("DELETE", f"leases/{lost}")
    # The toast goes by itself; what stands in the panel stays.
    expect(page.locator(".jp-toastContainer")).to_contain_text("A worker left")
    notice = at(cluster, "gw-cluster-notice")
    expect(notice).to_contain_text("A worker left: its slice was given back.")
    expect(slider).to_have_value("2")
    shoot(page, "cluster-notice")


def test_all_of_a_cluster_is_done_by_keyboard_and_axe_finds_nothing_serious(
    open_lab: Open, lab: LabServer
) -> None:
    page = open_lab(width=1400, height=1000)
    panel = open_panel(page)
    at(panel, "gw-form-purpose-kernel").focus()
    page.keyboard.press("ArrowRight")
    presets = at(panel, "gw-preset")
    expect(presets).to_have_count(3)
    expect(presets.locator("input:checked")).to_have_count(0)
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    expect(presets.first.locator("input")).to_be_checked()
    assert not serious(page, "[data-testid='gw-panel']")
    at(panel, "gw-form-name").focus()
    page.keyboard.type("keys")
    page.keyboard.press("Enter")
    cluster = row(panel, "keys")
    up(cluster, 2)

    before = {one["pid"] for one in lab.api("GET", "clusters")["clusters"][0]["workers"]}
    at(cluster, "gw-cluster-restart").press("Enter")

    def others() -> bool:
        now = {one["pid"] for one in lab.api("GET", "clusters")["clusters"][0]["workers"]}
        return len(now) == 2 and None not in now and not now & before

    wait_for(others, what="new processes")
    at(cluster, "gw-cluster-rename").press("Enter")
    page.locator(".jp-Dialog input").fill("trips")
    page.keyboard.press("Enter")
    renamed = row(panel, "trips")
    up(renamed, 2)
    at(renamed, "gw-cluster-fold").press("Enter")
    expect(at(renamed, "gw-worker")).to_have_count(0)
    at(renamed, "gw-cluster-fold").press("Enter")
    expect(at(renamed, "gw-worker")).to_have_count(2)
    at(renamed, "gw-cluster-count").fill("1")
    page.keyboard.press("Enter")
    up(renamed, 1)
    for dark in (False, True):
        seen = open_lab(width=1400, height=1000, dark=dark)
        expect(at(row(open_panel(seen), "trips"), "gw-worker")).to_have_count(1)
        found = serious(seen, "[data-testid='gw-panel']")
        assert not found, "\n".join(found)
    at(renamed, "gw-cluster-stop").press("Enter")  # nothing runs on it: nothing is asked
    expect(renamed).to_have_attribute("data-state", "ended", timeout=40_000)
