"""A process picked on the dashboard: charts by keyboard, as a table and a file, and its end."""

from __future__ import annotations

import csv
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Page, expect

from tests.support.lab import LabServer

from .conftest import shoot
from .pages import at
from .test_dashboard import open_dashboard, serious

Open = Callable[..., Page]
BUSY = (
    "import sys, time; held = b'1' * (300 << 20)\nwhile True: sum(range(200_000)); time.sleep(0.02)"
)


@pytest.fixture
def worker() -> Iterator[psutil.Popen]:
    """Computes a little and holds 300 MB."""
    with psutil.Popen([sys.executable, "-c", BUSY], stdin=subprocess.DEVNULL) as process:
        yield process
        process.kill()


def hold(lab: LabServer, process: psutil.Popen, name: str) -> str:
    """A slice whose holder is this process; the UUID of its GPU."""
    lease = lab.api("POST", "requests", {"what": "1g.10gb", "name": name, "purpose": "cell"})["id"]
    holder = {"kind": "cell", "id": name, "name": name}
    holder |= {"pid": process.pid, "started": process.create_time()}
    gpu: str = lab.api("POST", f"leases/{lease}/bind", holder)["slices"][0]["gpu"]
    return gpu


def test_a_process_has_charts_of_its_own_and_keeps_them_when_it_ends(
    open_lab: Open, lab: LabServer, worker: psutil.Popen, tmp_path: Path
) -> None:
    gpu = hold(lab, worker, "churn.ipynb")
    page = open_lab()
    dashboard = open_dashboard(page, gpu=gpu)
    pick = at(dashboard, "gw-process-pick")
    expect(pick).to_have_text("churn.ipynb")
    pick.focus()
    page.keyboard.press("Enter")
    expect(pick).to_have_attribute("aria-pressed", "true")
    expect(at(dashboard, "gw-dash-of")).to_contain_text(f"Only churn.ipynb (process {worker.pid}).")
    charts = at(dashboard, "gw-dash-gpu")
    expect(at(at(charts, "gw-chart-use"), "gw-chart-value")).to_contain_text("%")
    expect(at(at(charts, "gw-chart-memory"), "gw-chart-value")).to_contain_text("0.3")
    expect(at(charts, "gw-chart-power")).to_have_count(0)
    expect(charts.get_by_role("slider", name="Use")).to_be_in_viewport()
    shoot(page, "dashboard-process")
    assert serious(page) == []

    with page.expect_download() as download:
        at(dashboard, "gw-dash-csv").click()
    download.value.save_as(tmp_path / "past.csv")
    with (tmp_path / "past.csv").open() as text:
        rows = list(csv.DictReader(text))
    own = {row["metric"] for row in rows if row["subject"].startswith(f"process:{worker.pid}@")}
    assert own == {"activity", "memory_bytes"}
    assert gpu in {row["subject"] for row in rows}

    worker.kill()
    row = at(dashboard, "gw-process")
    expect(row).to_have_attribute("data-ended", "true")
    expect(at(dashboard, "gw-dash-of")).to_contain_text("It has ended")
    at(dashboard, "gw-dash-table").press("Enter")
    memory = at(charts, "gw-figures").get_by_role("row", name="Memory")
    expect(memory).to_contain_text("0.3")
    expect(at(charts, "gw-figures").get_by_role("row")).to_have_count(3)
    assert serious(page) == []
    at(dashboard, "gw-dash-of").get_by_role("button").press("Enter")
    expect(row).to_have_count(0)
    expect(at(charts, "gw-figures").get_by_role("row", name="Power")).to_be_visible()
