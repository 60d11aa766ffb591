"""The dashboard on the NVML backend, over the fake driver: what simulated GPUs have nothing of."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.fakes.nvml import FakeDriver, FakeGpu, h100_layout, install
from tests.fakes.nvml.build import Installed
from tests.support.dashboards import hold, open_dashboard
from tests.support.lab import LabServer
from tests.support.waiting import wait_for

from .conftest import no_questions, shoot
from .pages import at


class Machine:
    """A lab whose driver is made up: an H100, and one cut by MIG."""

    def __init__(self, root: Path) -> None:
        gpus = [FakeGpu(ecc_corrected=7), FakeGpu(instances=h100_layout())]
        self.driver = FakeDriver(gpus=gpus)
        self.fake: Installed = install(self.driver, root / "driver")
        no_questions(root / "lab")
        self.server = LabServer(
            root / "lab",
            app="lab",
            workbench={"devices": "nvml", "lease_ttl": 3600, "claim_seconds": 3600},
            env={"LD_LIBRARY_PATH": str(self.fake.directory)},
        )

    def write(self) -> None:
        self.fake.write(self.driver)


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    one = Machine(tmp_path_factory.mktemp("nvml"))
    with one.server:
        yield one


def closed(page: Page) -> None:
    page.context.close()


def test_errors_that_nobody_saw_are_listed_to_who_looks_later(
    browser: Browser, machine: Machine
) -> None:
    uuid = machine.driver.gpu_uuid(0)
    wait_for(lambda: told_ecc(machine.server, uuid) == 7, what="the slow lane has looked")
    machine.driver.xids = [(0, 48), (0, 79)]
    machine.driver.gpus[0].ecc_corrected += 3
    machine.driver.gpus[0].remapped_uncorrected += 1
    machine.driver.gpus[0].remap_pending = True
    machine.write()
    wait_for(
        lambda: len(machine.server.api("GET", f"telemetry/errors?gpu={uuid}")["errors"]) == 4,
        what="the sampler saw them though no window is open",
    )
    page = open_dashboard(browser, machine.server, gpu=uuid)
    events = at(page, "gw-event")
    expect(events).to_have_count(4)
    listed = " | ".join(events.all_inner_texts())
    for words in ("XID 48", "XID 79", "ECC errors, corrected: 3"):
        assert words in listed, listed
    part = at(page, "gw-events")
    expect(part).to_contain_text("ECC errors, corrected 10")
    expect(part).to_contain_text("replaced when the GPU is reset next")
    machine.driver.xids += [(0, 119)]
    machine.write()
    expect(events.first).to_contain_text("XID 119")  # and what comes while somebody looks
    at(page, "gw-events").scroll_into_view_if_needed()
    shoot(page, "dashboard-errors")
    closed(page)


def told_ecc(server: LabServer, uuid: str) -> int | None:
    gpus = server.api("GET", "telemetry")["gpus"]
    found: int | None = next(one["ecc_corrected"] for one in gpus if one["uuid"] == uuid)
    return found


def test_each_mig_instance_shows_what_its_sms_do_and_its_own_past(
    browser: Browser, machine: Machine
) -> None:
    gpu = machine.driver.gpus[1]
    assert gpu.instances is not None
    two = gpu.instances[1]
    two.activity, two.sm, two.occupancy, two.tensor, two.dram = 100, 30, 20, 15, 40
    gpu.activity, gpu.sm = 29, 9
    machine.write()
    lease = hold(machine.server, "2g.20gb", name="embeddings.ipynb")
    page = open_dashboard(browser, machine.server, gpu=machine.driver.gpu_uuid(1))
    part = page.locator(f"[data-testid='gw-slice'][data-slice='{lease}.0']")
    expect(at(part, "gw-slice-use")).to_have_text("100 %")
    for metric, words in (
        ("sm_activity", "30 %"),
        ("tensor_activity", "15 %"),
        ("dram_activity", "40 %"),
        ("sm_occupancy", "20 %"),
    ):
        expect(at(part, f"gw-slice-{metric}")).to_have_text(words)
    expect(at(page, "gw-glance")).not_to_contain_text("not told")
    at(part, "gw-slice-pick").click()
    expect(at(page, "gw-dash-of")).to_contain_text("2g.20gb")
    use = at(at(page, "gw-chart-use"), "gw-chart-value")
    expect(use.first).to_contain_text("100 %")
    expect(at(page, "gw-chart-sms")).to_contain_text("15 %")
    expect(at(page, "gw-chart-power")).to_have_count(0)
    shoot(page, "dashboard-slice")
    at(part, "gw-slice-pick").click()
    expect(at(page, "gw-chart-power")).to_have_count(1)
    closed(page)
