"""The dashboard as somebody uses it: look, pick by keyboard, hold still, save, lose and regain.

In JupyterLab's main area, on two simulated GPUs, one of them cut by MIG.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, WebSocket, expect

from tests.support.lab import LabServer
from tests.support.waiting import wait_for

from .conftest import shoot
from .pages import at, command, open_panel

Open = Callable[..., Page]
DASHBOARD = "gpu-workbench:open-dashboard"


def open_dashboard(page: Page, **shown: str) -> Locator:
    command(page, DASHBOARD, **shown)
    dashboard = at(page, "gw-dashboard")
    expect(dashboard).to_have_attribute("data-phase", "ready")
    expect(dashboard).to_have_attribute("data-live", "live")
    return dashboard


def serious(page: Page) -> list[str]:
    """What axe finds in the dashboard that keeps people out."""
    found = Axe().run(page, context="[data-testid='gw-dashboard']").response["violations"]
    return [
        f"{one['id']}: {one['help']}: {[node['html'][:160] for node in one['nodes']]}"
        for one in found
        if one["impact"] in ("serious", "critical")
    ]


def test_everything_is_reached_by_keyboard_and_axe_finds_nothing_serious(
    open_lab: Open, lab: LabServer
) -> None:
    lab.api("POST", "requests", {"what": "1g.10gb", "name": "churn.ipynb"})
    for dark in (False, True):
        page = open_lab(dark=dark)
        panel = open_panel(page)
        at(panel, "gw-open-dashboard").press("Enter")
        dashboard = at(page, "gw-dashboard")
        expect(at(dashboard, "gw-dash-simulated")).to_be_visible()
        expect(at(dashboard, "gw-dash-summary")).to_contain_text("1 of 2 GPUs held")

        heat = at(dashboard, "gw-heat")
        heat.focus()
        page.keyboard.press("Home")
        expect(at(dashboard, "gw-heat-tip")).to_have_attribute("data-gpu", "gpu0")
        page.keyboard.press("Enter")
        gpu = at(dashboard, "gw-dash-gpu")
        expect(gpu).to_have_attribute("data-gpu", "gpu0")
        page.keyboard.press("ArrowRight")
        expect(heat.get_by_role("option")).to_contain_text("churn.ipynb")
        page.keyboard.press("Enter")
        expect(gpu).to_have_attribute("data-gpu", "gpu1")
        expect(at(gpu, "gw-slice")).to_have_count(4)
        expect(at(gpu, "gw-chart-use")).to_be_visible()
        # A simulated GPU has no links: what is unknown is said, and never drawn as 0.
        expect(at(gpu, "gw-dash-missing")).to_contain_text("NVLink")
        expect(at(gpu, "gw-chart-nvlink")).to_have_count(0)
        _reads_a_chart_by_keyboard(page, gpu)
        shoot(page, f"dashboard-{'dark' if dark else 'light'}")
        assert serious(page) == []

        at(dashboard, "gw-dash-table").press("Enter")
        expect(at(gpu, "gw-figures").get_by_role("row", name="Memory")).to_be_visible()
        expect(at(dashboard, "gw-heat-table").get_by_role("row")).to_have_count(3)
        assert serious(page) == []
        at(dashboard, "gw-dash-tab-gpu").press("ArrowRight")
        expect(at(dashboard, "gw-dash-lease")).to_contain_text("churn.ipynb")
        assert serious(page) == []


def _reads_a_chart_by_keyboard(page: Page, gpu: Locator) -> None:
    """Arrow keys move a cursor that all charts share; what it is at is announced."""
    use = at(gpu, "gw-chart-use")
    expect(at(use, "gw-chart-value").first).to_contain_text("%")  # its past has been read
    chart = use.get_by_role("slider", name="Use and SM activity")
    chart.focus()
    expect(chart).to_have_attribute("aria-valuetext", re.compile("^Use "))
    page.keyboard.press("ArrowLeft")
    expect(chart).to_have_attribute("aria-valuetext", re.compile(r"^\d\d:\d\d:\d\d, Use "))
    shared = at(gpu, "gw-chart-memory").locator(".gw-chart-at")
    expect(shared).to_be_visible()
    page.keyboard.press("Escape")
    expect(shared).to_have_count(0)


def test_time_is_chosen_held_still_zoomed_and_saved(
    open_lab: Open, lab: LabServer, tmp_path: Path
) -> None:
    lab.api("POST", "requests", {"what": "0.5", "name": "flights.ipynb"})
    page = open_lab()
    gpu0 = next(one for one in lab.api("GET", "fleet")["gpus"] if one["name"] == "gpu0")
    dashboard = open_dashboard(page, gpu=gpu0["uuid"])
    at(dashboard, "gw-dash-range-60").click()
    expect(at(dashboard, "gw-dash-range-60")).to_have_attribute("aria-pressed", "true")

    at(dashboard, "gw-dash-pause").click()
    expect(dashboard).to_have_attribute("data-live", "paused")
    at(dashboard, "gw-dash-live").click()
    expect(dashboard).to_have_attribute("data-live", "live")

    # All charts have the same window: a drag over one zooms them all.
    plot = at(dashboard, "gw-chart-memory").locator(".u-over")
    plot.hover()  # when it has come to rest
    box = plot.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 30)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.9, box["y"] + 40, steps=4)
    page.mouse.up()
    expect(dashboard).to_have_attribute("data-live", "zoomed")
    at(dashboard, "gw-dash-zoom-out").click()
    at(dashboard, "gw-dash-live").click()
    expect(dashboard).to_have_attribute("data-live", "live")

    memory = at(at(dashboard, "gw-chart-memory"), "gw-chart-value")
    expect(memory).to_contain_text("GB")
    with page.expect_download() as download:
        at(dashboard, "gw-dash-csv").click()
    download.value.save_as(tmp_path / "past.csv")
    with (tmp_path / "past.csv").open() as text:
        rows = list(csv.DictReader(text))
    assert {"activity", "memory_bytes"} <= {row["metric"] for row in rows}
    assert gpu0["uuid"] in {row["subject"] for row in rows}
    assert not [row for row in rows if row["metric"].startswith("nvlink")], "unknown is no figure"
    with page.expect_download() as download:
        at(dashboard, "gw-dash-png").click()
    download.value.save_as(tmp_path / "shown.png")
    assert (tmp_path / "shown.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "shown.png").stat().st_size > 5_000


def test_who_does_not_look_gets_nothing(open_lab: Open, lab: LabServer) -> None:
    page = open_lab()
    said: list[dict[str, object]] = []
    got: list[str | bytes] = []

    def follow(socket: WebSocket) -> None:
        if urlsplit(socket.url).path.endswith("/live"):
            socket.on("framesent", lambda data: said.append(json.loads(data)))
            socket.on("framereceived", lambda data: got.append(data))

    page.on("websocket", follow)
    asked: list[str] = []

    def talk() -> tuple[int, int, int]:
        return len(said), len(asked), len(got)

    page.on("request", lambda one: asked.append(one.url) if "/gpu-workbench/" in one.url else None)
    page.reload()
    page.wait_for_function("window.jupyterapp && window.jupyterapp.restored")
    uuid = lab.api("GET", "fleet")["gpus"][0]["uuid"]
    open_dashboard(page, gpu=uuid)
    wait_for(
        lambda: waited(page) and said and said[-1]["gpu"] == uuid, what="every metric is asked"
    )
    command(page, "launcher:create")
    wait_for(lambda: waited(page) and said[-1]["gpu"] is None, what="behind another tab: no more")
    command(page, DASHBOARD)
    wait_for(lambda: waited(page) and said[-1]["gpu"] == uuid, what="in front again")
    page.locator(".lm-TabBar-tab", has_text="GPU dashboard").locator(
        ".lm-TabBar-tabCloseIcon"
    ).click()
    wait_for(lambda: waited(page) and said[-1]["gpu"] is None, what="closed: no more")

    panel, first = open_panel(page), lab.api("POST", "requests", {"what": "gpu"})["id"]
    rows = at(panel, "gw-lease")
    expect(rows).to_have_attribute("data-lease", str(first))
    see(page, hidden=True)
    wait_for(lambda: silent(page, lab, talk), what="nothing comes any more")
    before = talk()
    second = lab.api("POST", "requests", {"what": "10GB"})["id"]
    lab.api("DELETE", f"leases/{first}")
    wait_for(lambda: [one["id"] for one in lab.leases()] == [second], what="the first is over")
    page.wait_for_timeout(1000)
    assert talk() == before, "not a word, to or fro"
    see(page, hidden=False)
    expect(rows.and_(page.locator(f"[data-lease='{first}']"))).to_have_count(0)
    expect(rows).to_have_attribute("data-lease", str(second))

    third = lab.api("POST", "requests", {"what": "gpu"})["id"]
    expect(rows).to_have_count(2)
    at(panel, "gw-form-memory").fill("80 GB")
    at(panel, "gw-form-submit").click()
    expect(at(panel, "gw-waiting-request")).to_have_count(1)
    see(page, hidden=True)
    wait_for(lambda: silent(page, lab, talk), what="nothing comes any more")
    frames = len(got)
    lab.api("DELETE", f"leases/{third}")
    wait_for(lambda: waited(page) and taken(lab, third + 1), what="its notebook has opened")
    assert {json.loads(one)["data"]["id"] for one in got[frames:]} == {third + 1}
    see(page, hidden=False)
    expect(at(panel, "gw-waiting-request")).to_have_count(0)


def see(page: Page, hidden: bool) -> None:
    """As if the page went behind another tab of the browser, or came in front."""
    page.evaluate(
        """hidden => {
            const is = (name, value) =>
                Object.defineProperty(document, name, { configurable: true, value });
            is("hidden", hidden);
            is("visibilityState", hidden ? "hidden" : "visible");
            document.dispatchEvent(new Event("visibilitychange"));
        }""",
        hidden,
    )


def silent(page: Page, lab: LabServer, talk: Callable[[], object]) -> bool:
    """Nothing is said or comes for longer than ticks are apart, from a server that answers."""
    before = talk()
    lab.api("GET", "status")
    page.wait_for_timeout(700)
    return talk() == before


def taken(lab: LabServer, number: int) -> bool:
    """A kernel has taken that lease."""
    return any(one["id"] == number and one["holder"] for one in lab.leases())


def waited(page: Page) -> bool:
    """Lets Playwright hand out what has happened meanwhile."""
    page.wait_for_timeout(50)
    return True


def test_it_comes_back_with_the_layout_and_shows_the_last_picture_without_a_server(
    open_lab: Open, lab: LabServer
) -> None:
    page = open_lab()
    uuid = lab.api("GET", "fleet")["gpus"][1]["uuid"]
    dashboard = open_dashboard(page, gpu=uuid)
    at(dashboard, "gw-dash-range-900").click()
    wait_for(lambda: waited(page) and saved(page), what="the layout is saved")
    page.goto(page.url.split("?")[0])
    expect(dashboard).to_have_attribute("data-phase", "ready", timeout=40_000)
    expect(at(dashboard, "gw-dash-gpu")).to_have_attribute("data-gpu", "gpu1")
    expect(at(dashboard, "gw-dash-range-900")).to_have_attribute("aria-pressed", "true")

    lab.kill9()
    expect(at(dashboard, "gw-dash-lost")).to_contain_text("Disconnected since")
    expect(at(dashboard, "gw-chart-use")).to_be_visible()
    page.keyboard.press("Escape")  # JupyterLab's own dialog about it, where it has come already
    shoot(page, "dashboard-disconnected")
    lab.start()
    expect(dashboard).to_have_attribute("data-live", "live", timeout=60_000)


def saved(page: Page) -> bool:
    """Whether the workspace knows of the dashboard and its range."""
    found = page.evaluate(
        "() => window.jupyterapp.serviceManager.workspaces.list()"
        ".then(all => JSON.stringify(all.values))"
    )
    return "gpu-workbench-dashboard:dashboard" in found and '"range":900' in found
