"""dask-labextension in the same JupyterLab: both panels work, each with its own clusters."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.lab import LabServer
from tests.support.waiting import wait_for

from .conftest import no_questions, shoot
from .pages import at, notebook, open_panel, run_cell
from .test_clusters import frame_of, made, row

pytest.importorskip("dask_labextension", reason="dask-labextension is not installed")
FIGURE = ".bk-Figure"


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[LabServer]:
    no_questions(tmp_path)
    with LabServer(tmp_path, app="lab", beside_dask=True) as server:
        yield server


@pytest.fixture
def page(browser: Browser, lab: LabServer) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1500, "height": 1000}, locale="en-US")
    found = context.new_page()
    found.goto(f"{lab.url}lab/workspaces/both?token={lab.token}&reset")
    found.wait_for_function("window.jupyterapp && window.jupyterapp.restored")
    found.wait_for_selector(".jp-Launcher")
    yield found
    shoot(found, "beside-dask-last")
    context.close()


def show(page: Page, panel: str) -> None:
    page.evaluate("id => window.jupyterapp.shell.activateById(id)", panel)


def test_both_extensions_show_our_cluster_and_theirs_runs_beside_it(
    page: Page, lab: LabServer
) -> None:
    complaints: list[str] = []
    page.on("console", lambda said: said.type == "error" and complaints.append(said.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    ours = made(lab, "flights")

    # Theirs takes the address of our pages, and finds all of them behind the login.
    show(page, "dask-dashboard-launcher")
    theirs = page.locator("#dask-dashboard-launcher")
    address = theirs.get_by_placeholder("DASK DASHBOARD URL")
    address.fill(f"{lab.url.rstrip('/')}{ours['dashboard_path']}")
    address.press("Enter")
    theirs.get_by_role("button", name="Task Stream", exact=True).click()
    page_of_ours = f"iframe[src*='/clusters/{ours['id']}/dashboard/individual-task-stream']"
    expect(page.frame_locator(page_of_ours).locator(FIGURE)).to_be_visible()
    shoot(page, "beside-dask-theirs")

    # They start a cluster of their own, in the Jupyter server as they do.
    theirs.get_by_role("button", name=re.compile("new", re.I)).click()
    expect(theirs.locator(".dask-ClusterListingItem")).to_have_count(1, timeout=60_000)
    (local,) = lab.call("GET", "dask/clusters/")
    assert local["id"] != ours["id"] and local["workers"] >= 1

    # Ours knows nothing of it, and shows its own panes at the same time.
    panel = open_panel(page)
    expect(at(panel, "gw-cluster")).to_have_count(1)
    cluster = row(panel, "flights")
    at(cluster, "gw-cluster-panes").click()
    page.locator(".lm-Menu-item").filter(has_text=re.compile("^Progress$")).click()
    expect(frame_of(page, "individual-progress").locator(FIGURE)).to_be_visible()

    # The button that Dask writes under a client opens their layout on our cluster.
    notebook(page, lab, "")
    at(cluster, "gw-cluster-insert").click()
    cell = page.locator(".jp-Notebook:visible .jp-CodeCell .cm-content").last
    expect(cell).to_contain_text('client = gw.cluster(name="flights").get_client()')
    page.locator(".jp-Notebook:visible").press("Shift+Enter")
    page.get_by_role("button", name="Launch dashboard in JupyterLab").click()
    memory = f"iframe[src*='/clusters/{ours['id']}/dashboard/individual-workers-memory']"
    expect(page.frame_locator(memory).locator(FIGURE).first).to_be_visible()
    run_cell(page, "client.submit(sum, [1, 2, 3]).result()")
    expect(page.locator(".jp-OutputArea-output").last).to_have_text("6")
    shoot(page, "beside-dask-both")
    # Later, Bokeh's pages complain in the console that their scheduler has gone.
    assert not complaints, "\n".join(complaints)

    lab.api("DELETE", f"clusters/{ours['id']}")
    lab.call("DELETE", f"dask/clusters/{local['id']}")
    expect(cluster).to_have_attribute("data-state", "ended", timeout=40_000)
    wait_for(lambda: not lab.leases(), what="no lease is left")
    assert lab.call("GET", "dask/clusters/") == []
