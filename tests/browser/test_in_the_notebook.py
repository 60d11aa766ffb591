"""What `gw` shows inside a notebook: status, a live monitor, a wait that the stop button ends."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import Browser, Page, expect

from tests.support.lab import REPOSITORY, LabServer
from tests.support.waiting import wait_for

from .conftest import shoot
from .pages import command, notebook, run_all

Open = Callable[..., Page]
WIDGET = REPOSITORY / "kernels" / "gpu_workbench" / "widgets" / "monitor"


BURN = "import time\nend = time.time() + 12\nwhile time.time() < end: pass"


def test_status_and_monitor_live_while_a_cell_computes(open_lab: Open, lab: LabServer) -> None:
    page = open_lab(height=1000)
    outputs = notebook(
        page,
        lab,
        "import gpu_workbench as gw\ngw.status()",
        "gw.monitor()",
        BURN,
        kernel="gpu-slice",
    )
    run_all(page)
    expect(outputs.nth(0)).to_contain_text("of 2 simulated GPUs free")
    expect(outputs.nth(0)).to_contain_text("look.ipynb")
    monitor = outputs.nth(1).locator(".gpuw-monitor")
    expect(monitor).to_contain_text("look.ipynb · 1g.10gb")
    expect(monitor).to_contain_text("simulated GPUs")
    figure = monitor.locator(".gpuw-monitor-figure")
    expect(figure).to_contain_text(re.compile(r"([1-9]\d|100) % · \d"), timeout=20_000)
    expect(page.locator(".jp-InputPrompt").last).to_have_text("[*]:")
    expect(monitor.locator(".gpuw-monitor-activity")).not_to_have_count(0)
    shoot(page, "notebook-light")


def test_the_stop_button_ends_a_wait_and_leaves_nothing(open_lab: Open, lab: LabServer) -> None:
    first = lab.api("POST", "requests", {"what": "gpu", "name": "long.ipynb", "seconds": 600})
    page = open_lab(dark=True)
    outputs = notebook(
        page, lab, "import gpu_workbench as gw\ndisplay(gw.status())\ngw.request('gpu')"
    )
    run_all(page)
    expect(outputs.nth(0)).to_contain_text("Waiting for whole GPU")
    expect(outputs.nth(0)).to_contain_text("position 1")
    expect(outputs.nth(0)).to_contain_text(f"lease {first['id']}")
    shoot(page, "notebook-waiting-dark")
    command(page, "notebook:interrupt-kernel")
    expect(outputs.nth(0)).to_contain_text("Not waiting any more")
    wait_for(lambda: not lab.api("GET", "requests")["requests"], 10, "nothing queued")
    assert [one["id"] for one in lab.leases()] == [first["id"]]


def test_the_monitor_draws_what_it_knows_and_leaves_gaps(browser: Browser) -> None:
    """The front end alone, with a model of the same shape as anywidget's."""
    page = browser.new_page()
    page.goto("about:blank")
    source = (WIDGET / "index.js").read_text()
    found = page.evaluate(
        """async source => {
            const module = await import(URL.createObjectURL(
                new Blob([source], { type: 'text/javascript' })));
            const floats = new Float32Array(2 * 2 * 120).fill(NaN);
            floats.fill(0.5, 10, 20); floats.fill(1, 100, 120); floats.fill(5, 220, 240);
            const values = {
                subjects: [{ label: '<b>a</b>', memory: 10 }, { label: 'b', memory: 20 }],
                window: new DataView(floats.buffer), state: 'live', simulated: true
            };
            const heard = {};
            const model = {
                get: name => values[name],
                on: (name, call) => { heard[name] = call; },
                off: name => { delete heard[name]; }
            };
            const el = document.createElement('div');
            document.body.append(el);
            const end = module.default.render({ model, el });
            const first = {
                rows: el.querySelectorAll('.gpuw-monitor-row').length,
                areas: el.querySelectorAll('.gpuw-monitor-activity').length,
                lines: el.querySelectorAll('.gpuw-monitor-memory').length,
                figures: [...el.querySelectorAll('.gpuw-monitor-figure')].map(x => x.textContent),
                bold: el.querySelectorAll('b').length,
                note: el.querySelector('.gpuw-monitor-note').textContent
            };
            values.subjects = [];
            values.state = 'stopped';
            heard['change:window']();
            const rows = el.querySelectorAll('.gpuw-monitor-row').length;
            const note = el.querySelector('.gpuw-monitor-note').textContent;
            end();
            return { first, rows, note, heard: Object.keys(heard) };
        }""",
        source,
    )
    page.close()
    assert found["first"] == {
        "rows": 2,
        "areas": 2,
        "lines": 1,
        "figures": ["100 % · 5.0 of 10 GB", "activity unknown · memory unknown"],
        "bold": 0,
        "note": "simulated GPUs · area: activity, line: memory, last two minutes",
    }
    assert found["rows"] == 0
    assert found["note"].endswith("stopped")
    assert found["heard"] == []
