"""What `gw` shows inside a notebook: status, a live monitor, a wait that the stop button ends."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from nbconvert import HTMLExporter
from playwright.sync_api import Browser, Page, expect

from tests.support.lab import REPOSITORY, LabServer
from tests.support.waiting import wait_for

from .conftest import shoot
from .pages import command, notebook, run_all

Open = Callable[..., Page]
WIDGET = REPOSITORY / "kernels" / "gpu_workbench" / "widgets" / "monitor"


# Until the test has seen what it wants, whenever that is.
BURN = "import os\nwhile not os.path.exists('enough'): pass"


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
    expect(outputs.nth(1).locator(".gpuw-still")).to_be_hidden()
    expect(monitor).to_contain_text("look.ipynb · 1g.10gb")
    expect(monitor).to_contain_text("simulated GPUs")
    figure = monitor.locator(".gpuw-monitor-figure")
    expect(figure).to_contain_text(re.compile(r"([1-9]\d|100) % · \d"))
    expect(page.locator(".jp-InputPrompt").last).to_have_text("[*]:")
    expect(monitor.locator(".gpuw-monitor-activity")).not_to_have_count(0)
    shoot(page, "notebook-light")
    (lab.notebooks / "enough").touch()


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
    wait_for(lambda: not lab.api("GET", "requests")["requests"], what="nothing queued")
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
            const floats = new Float32Array(2 * 3 * 120).fill(NaN);
            floats.fill(0.5, 10, 20); floats.fill(1, 100, 120); floats.fill(0.03, 230, 240);
            floats.fill(5, 340, 360);
            const values = {
                subjects: [{ label: '<b>a</b>', memory: 10 }, { label: 'b', memory: 20 }],
                window: new DataView(floats.buffer), state: 'live', notes: 'simulated GPUs',
                key: 'k', seen: false
            };
            const heard = {};
            const model = {
                get: name => values[name],
                on: (name, call) => { heard[name] = call; },
                off: name => { delete heard[name]; },
                set: (name, value) => { values[name] = value; },
                save_changes: () => {}
            };
            const el = document.createElement('div');
            document.body.append(el);
            const end = module.default.render({ model, el });
            while (!values.seen) await new Promise(requestAnimationFrame);
            const first = {
                rows: el.querySelectorAll('.gpuw-monitor-row').length,
                areas: el.querySelectorAll('.gpuw-monitor-activity').length,
                dark: el.querySelectorAll('.gpuw-monitor-sm').length,
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
            return { first, rows, note, seen: values.seen, heard: Object.keys(heard) };
        }""",
        source,
    )
    page.close()
    assert found["first"] == {
        "rows": 2,
        "areas": 2,
        "dark": 1,
        "lines": 1,
        "figures": ["100 % · SM 3 % · 5.0 of 10 GB", "activity unknown · memory unknown"],
        "bold": 0,
        "note": (
            "simulated GPUs · area: activity, dark: SM activity, line: memory, last two minutes"
        ),
    }
    assert found["rows"] == 0
    assert found["note"].endswith("stopped")
    assert found["heard"] == []
    assert found["seen"] is False, "a view that is gone sees nothing"


def test_a_notebook_without_its_kernel_and_a_converted_one_keep_the_last_picture(
    open_lab: Open, lab: LabServer
) -> None:
    page = open_lab()
    outputs = notebook(
        page, lab, "import gpu_workbench as gw\nview = gw.monitor()\nview", BURN, kernel="gpu-slice"
    )
    run_all(page)
    live = outputs.nth(0).locator(".gpuw-monitor")
    expect(live).to_contain_text(re.compile(r"([1-9]\d|100) % · \d"))
    (lab.notebooks / "enough").touch()
    expect(page.locator(".jp-InputPrompt").last).to_have_text(re.compile(r"\[\d+\]:"))
    wait_for(lambda: SAW_WORK.search(saved(page, lab)), what="a picture of the work is saved")
    html, _ = HTMLExporter().from_filename(str(lab.notebooks / "look.ipynb"))
    assert html.count('class="gpuw-still ') == 1
    assert SAW_WORK.search(html)
    assert "widget-view" not in html, "the picture alone"

    page.goto("about:blank")
    for session in lab.jupyter("GET", "sessions"):
        lab.jupyter("DELETE", f"sessions/{session['id']}")

    for dark in (False, True):
        page = open_lab(dark=dark)
        command(page, "docmanager:open", path="look.ipynb", kernelPreference={"shouldStart": False})
        picture = page.locator(".jp-Notebook:visible .gpuw-still")
        expect(picture).to_be_visible()
        expect(picture).to_contain_text(re.compile(r"look.ipynb · 1g.10gb .*of 10 GB.*as of", re.S))
        drawn = "image => image.decode().then(() => image.naturalWidth)"
        assert picture.locator("img").evaluate(drawn) == 640
        # what JupyterLab says in the widget's place, which it never finds
        loading = page.get_by_text("Loading widget")
        loading.wait_for(state="attached")
        expect(loading).to_be_hidden()
        shoot(page, f"notebook-without-kernel-{'dark' if dark else 'light'}")
        assert lab.jupyter("GET", "sessions") == []


SAW_WORK = re.compile(r"look.ipynb · 1g.10gb</b> <span>\d+ %")


def saved(page: Page, lab: LabServer) -> str:
    """The notebook on disk after it was saved: the still picture of its first cell."""
    page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save').then(() => null)")
    book = json.loads((lab.notebooks / "look.ipynb").read_text())
    outputs = book["cells"][0]["outputs"]
    return "".join("".join(one["data"].get("text/html", "")) for one in outputs)
