"""Journeys 1, 2 and 6 as a person clicks them: look, take a slice, use it, wait, give it back."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect

from tests.support.lab import REPOSITORY, LabServer
from tests.support.load import Tree
from tests.support.quickstart import NOTEBOOK as QUICKSTART
from tests.support.waiting import wait_for

from .conftest import shoot
from .pages import (
    at,
    command,
    in_front_with_kernel_idle,
    notebook,
    open_panel,
    row_shows,
    run_cell,
    watch,
)

Open = Callable[..., Page]
EXAMPLES = REPOSITORY / "examples"


# What a kernel says of its language was written into the notebook when this answers.
_UNSAVED = """async () => {
  const { context, sessionContext } = window.jupyterapp.shell.currentWidget;
  const said = (await sessionContext.session.kernel.info).language_info;
  while (context.model.getMetadata("language_info").version !== said.version) {
    await new Promise(again => setTimeout(again, 20));
  }
  return context.model.dirty;
}"""


def ask_for(panel: Locator, memory: str, target: str = "later") -> None:
    at(panel, "gw-form-target").select_option(target)
    at(panel, "gw-form-memory").fill(memory)
    at(panel, "gw-form-submit").click()


def test_the_panel_shows_simulated_gpus_and_says_so(open_lab: Open) -> None:
    page = open_lab()
    panel = open_panel(page)
    expect(at(panel, "gw-simulated")).to_contain_text("simulated GPUs")
    expect(at(panel, "gw-gpu")).to_have_count(2)
    segments = at(panel, "gw-segment")
    expect(segments).to_have_count(8)
    box = segments.first.bounding_box()
    assert box and box["height"] >= 20, "a bar that is read and hit"
    expect(at(panel, "gw-mine-empty")).to_be_visible()
    shoot(page, "empty-light")


def test_the_quickstart_has_no_unsaved_changes_when_it_is_opened(
    open_lab: Open, lab: LabServer
) -> None:
    subprocess.run([sys.executable, EXAMPLES, lab.notebooks], check=True)
    shutil.copy(EXAMPLES / QUICKSTART, lab.notebooks / "original.ipynb")
    page = open_lab()
    unsaved = {}
    for name in (QUICKSTART, "original.ipynb"):
        command(page, "docmanager:open", path=name)
        in_front_with_kernel_idle(page, name)
        unsaved[name] = page.evaluate(_UNSAVED)
    # The original can't name the Python of whoever opens it: so it is copied.
    assert unsaved == {QUICKSTART: False, "original.ipynb": True}


@pytest.mark.parametrize("purpose", ["kernel", "cluster", "job"])
def test_the_forms_fit_a_narrow_sidebar(open_lab: Open, lab: LabServer, purpose: str) -> None:
    page = open_lab()
    panel = open_panel(page)
    notebook(page, lab, "", name="a-notebook-with-a-rather-long-name.ipynb")
    page.add_style_tag(content="#gpu-workbench-panel { width: 250px !important; }")
    at(panel, f"gw-form-purpose-{purpose}").click()
    shoot(page, f"narrow-{purpose}")
    sticks_out = panel.evaluate(
        """panel => [...panel.querySelectorAll('*')]
            .filter(one => one.getBoundingClientRect().right >
                           panel.getBoundingClientRect().left + 251)
            .map(one => one.className || one.tagName)"""
    )
    assert sticks_out == []


def test_from_20_gb_to_a_notebook_that_computes_and_back(open_lab: Open, lab: LabServer) -> None:
    page = open_lab()
    panel = open_panel(page)
    ask_for(panel, "20 GB")
    lease = at(panel, "gw-lease")
    expect(lease).to_have_count(1)
    expect(at(lease, "gw-lease-left")).to_contain_text(re.compile(r"1:59:\d\d|2:00:00"))

    cards = page.locator(".jp-LauncherCard[data-category='GPUs']")
    cards.filter(has_text="Python on a GPU slice").click()
    wait_for(lambda: (lab.leases()[0]["holder"] or {}).get("pid"), what="the kernel has the lease")
    in_front_with_kernel_idle(page)
    run_cell(
        page,
        "import os\n"
        "print({k: os.environ[k] for k in "
        "('GPU_WORKBENCH_LEASE', 'GPU_WORKBENCH_SIMULATED', 'CUDA_VISIBLE_DEVICES')})",
    )
    output = page.locator(".jp-OutputArea-output").last
    expect(output).to_contain_text("'GPU_WORKBENCH_SIMULATED': '1'")
    expect(output).to_contain_text(f"'GPU_WORKBENCH_LEASE': '{lab.leases()[0]['id']}'")

    run_cell(page, "while True: pass")  # until its slice is taken away
    load = at(lease, "gw-lease-load")
    with Tree(lab.leases()[0]["holder"]["pid"]) as tree:
        # on a busy machine the cell gets only part of a core, and the panel shows just that part
        wait_for(lambda: tree.cores_lately(1.0) > 0.1, what="the cell computes")
        expect(load).to_contain_text(re.compile(r"\b([1-9]\d|100)\s?%"), timeout=3_000)
        began = time.time()
        panel_says = watch({"load": row_shows(lease)}, 8.0)["load"]
        assert panel_says == pytest.approx(tree.cores(began - 0.5, began + 7.5), rel=0.15)
    expect(at(page, "gw-status")).to_contain_text("%")
    shoot(page, "working-light")

    at(lease, "gw-lease-release").click()
    page.locator(".jp-Dialog button.jp-mod-accept").click()
    expect(lease).to_have_count(0)
    wait_for(lambda: not lab.leases(), what="the lease is over")


def test_what_does_not_fit_waits_with_a_reason_and_is_granted_in_its_turn(
    open_lab: Open, lab: LabServer
) -> None:
    page = open_lab()
    panel = open_panel(page)
    first = lab.api("POST", "requests", {"what": "gpu", "name": "long.ipynb", "seconds": 600})
    ask_for(panel, "80 GB")
    waiting = at(panel, "gw-waiting-request")
    expect(waiting).to_have_count(1)
    expect(at(waiting, "gw-waiting-position")).to_contain_text("1")
    expect(at(waiting, "gw-waiting-reason")).to_contain_text(f"when lease {first['id']} ends")
    shoot(page, "waiting-light")
    lab.api("DELETE", f"leases/{first['id']}")
    expect(waiting).to_have_count(0)
    expect(at(panel, "gw-lease")).to_have_count(1)


def test_what_can_never_be_had_is_refused_with_what_would_work(open_lab: Open) -> None:
    page = open_lab()
    panel = open_panel(page)
    ask_for(panel, "300 GB")
    trouble = at(panel, "gw-trouble")
    expect(trouble).to_contain_text("the largest has 80 GB")
    shoot(page, "refused-light")


def test_the_panel_is_usable_without_a_mouse_and_axe_finds_nothing_serious(
    open_lab: Open, lab: LabServer
) -> None:
    for name in ("a", "b", "c"):
        lab.api("POST", "requests", {"what": "0.25", "name": f"{name}.ipynb"})
    lab.api("POST", "requests", {"what": "gpu", "name": "later.ipynb"})
    for dark in (False, True):
        page = open_lab(dark=dark)
        panel = open_panel(page)
        expect(at(panel, "gw-lease")).to_have_count(3)
        shoot(page, f"full-{'dark' if dark else 'light'}")
        results = Axe().run(page, context="[data-testid='gw-panel']")
        serious = [
            f"{v['id']}: {v['help']}: {[n['html'][:160] for n in v['nodes']]}"
            for v in results.response["violations"]
            if v["impact"] in ("serious", "critical")
        ]
        assert not serious, "\n".join(serious)
        at(panel, "gw-form-target").select_option("later")
        at(panel, "gw-form-memory").focus()
        page.keyboard.press("Control+A")
        page.keyboard.type("10 GB")
        page.keyboard.press("Enter")
        expect(at(panel, "gw-lease")).to_have_count(4)
        lab.api("DELETE", f"leases/{max(lease['id'] for lease in lab.leases())}")


def test_when_the_server_is_gone_the_panel_says_so_and_comes_back(
    open_lab: Open, lab: LabServer
) -> None:
    page = open_lab()
    panel = open_panel(page)
    expect(panel).to_have_attribute("data-link", "open")
    dialog = page.locator("dialog.jp-Dialog")  # JupyterLab says itself that the server is gone
    page.add_locator_handler(
        dialog, lambda one: one.locator("button.jp-Dialog-button").last.click()
    )
    lab.kill9()
    expect(panel).not_to_have_attribute("data-link", "open")
    lab.start()
    expect(panel).to_have_attribute("data-link", "open", timeout=60_000)
    ask_for(panel, "10 GB")
    expect(at(panel, "gw-lease")).to_have_count(1)


def test_a_lease_that_ended_while_there_was_no_connection_is_told_of_then(
    open_lab: Open, lab: LabServer
) -> None:
    page = open_lab()
    panel = open_panel(page)
    lease = lab.api("POST", "requests", {"what": "10GB", "name": "nap.ipynb", "seconds": 15})
    expect(at(panel, "gw-lease")).to_have_count(1)
    lab.kill9()
    expect(panel).not_to_have_attribute("data-link", "open")
    wait_for(lambda: time.time() > lease["created_at"] + 16, what="its time is over")
    lab.start()
    told = page.locator(".jp-toastContainer")
    expect(told).to_contain_text("The slice of nap.ipynb ended at")
    expect(told).to_contain_text("its time was over")
    expect(at(panel, "gw-lease")).to_have_count(0)
    shoot(page, "ended-light")

    later = open_lab(dark=True)
    panel = open_panel(later)
    row = at(panel, "gw-taken").filter(has_text="nap.ipynb")
    expect(row).to_contain_text("its time was over")
    at(row, "gw-taken-again").click()
    expect(at(panel, "gw-form-memory")).to_have_value("10 GB")
    expect(at(panel, "gw-form-target")).to_have_value("nap.ipynb")
    shoot(later, "ended-before-dark")
    at(panel, "gw-form-submit").click()
    in_front_with_kernel_idle(later, "nap.ipynb")
    expect(row).to_have_count(0)
