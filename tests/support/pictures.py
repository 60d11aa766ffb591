"""The dashboard's pictures for the docs, in reduced size: `python -m tests.support.pictures [DIR
[SCENE …]]`.

Simulated GPUs, a real server, a real browser; the load is made up in the page (feed.js), since
nobody has the processes to keep such fleets busy. Every picture says "simulated GPUs".
"""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, Page

from tests.support.dashboards import chromium, fleet_of, hold, lab_with, open_dashboard, run
from tests.support.lab import LabServer

IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"
SIXTEEN = """
[[gpu]]
model = "NVIDIA H100 80GB HBM3"
memory_gb = 80
count = 6
node = "node1"
[[gpu]]
model = "NVIDIA H100 80GB HBM3"
memory_gb = 80
count = 2
node = "node1"
mig = ["3g.40gb", "2g.20gb", "1g.10gb", "1g.10gb"]
[[gpu]]
model = "NVIDIA A100 80GB"
memory_gb = 80
count = 8
node = "node2"
"""
HELD = (
    ("0.25", "analysis/churn.ipynb"),
    ("0.5", "flights.ipynb"),
    ("gpu", "train-large.ipynb"),
    ("gpu", "diffusion.ipynb"),
    ("gpu", "tune.ipynb"),
    ("3g.40gb", "embeddings.ipynb"),
    ("2g.20gb", "eval.ipynb"),
    ("1g.10gb", "teaching.ipynb"),
)


def picture(page: Page, name: str, into: Path, width: int = 960) -> None:
    """A screenshot in few colours and pixels."""
    page.wait_for_timeout(800)
    shot = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    small = shot.resize((width, round(shot.height * width / shot.width)), Image.Resampling.LANCZOS)
    path = into / f"{name}.png"
    # This method keeps the accents, which are few pixels, and does not tint the page.
    small.quantize(256, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).save(
        path, optimize=True
    )
    print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB", flush=True)


def opened(browser: Browser, server: LabServer, past: float = 300.0, **shown: Any) -> Page:
    """A dashboard with made-up load of what is held, and that many seconds of it behind it."""
    page = open_dashboard(browser, server, made_up=True, size=(1400, 940), **shown)
    page.evaluate("held => { Object.assign(window.gwFeed, held); }", held_by(server))
    page.evaluate("() => window.jupyterapp.shell.collapseLeft()")
    page.wait_for_function("() => window.gwFeed.ticks > 4", timeout=60_000)
    page.evaluate("() => { window.gwFeed.own = true; }")
    page.evaluate("n => window.gwFeed.run(n, 0.5)", round(past * 2))
    return page


def held_by(server: LabServer) -> dict[str, Any]:
    """What works, for feed.js: slices that somebody holds, and GPUs as what their slices do."""
    known: dict[str, float] = {}
    parts: dict[str, list[tuple[str, float]]] = {}
    gpus = server.api("GET", "fleet")["gpus"]
    for gpu in gpus:
        held = [part for part in gpu["segments"] if part["slice_id"] is not None]
        known |= {part["slice_id"]: part["memory_bytes"] for part in held}
        parts[gpu["uuid"]] = [(part["slice_id"], part["units"]) for part in held]
    return {"known": known, "parts": parts}


def few(browser: Browser, root: Path, into: Path) -> None:
    with lab_with(root, SIXTEEN, claim_seconds=86_400) as server:
        page = opened(browser, server)
        picture(page, "dashboard-empty", into)
        page.context.close()
        for what, name in HELD:
            hold(server, what, name=name)
        gpus = server.api("GET", "fleet")["gpus"]
        whole = next(one for one in gpus if one["segments"][0]["profile"] == "whole")
        cut = next(
            one for one in gpus if one["mig"] and any(part["mine"] for part in one["segments"])
        )
        page = opened(browser, server, past=1200, gpu=cut["uuid"], range=300)
        page.get_by_test_id("gw-slice-pick").last.click()
        picture(page, "dashboard-mig", into)
        run(page, "gpu-workbench:open-dashboard", gpu=whole["uuid"], range=900)
        page.wait_for_timeout(1500)
        page.evaluate("() => { window.gwFeed.own = false; }")
        ticks = page.evaluate("() => window.gwFeed.ticks")
        page.wait_for_function("n => window.gwFeed.ticks > n + 6", arg=ticks)
        page.evaluate("() => { window.gwFeed.own = true; window.gwFeed.run(1200, 0.5); }")
        page.wait_for_timeout(800)
        picture(page, "dashboard-light", into)
        page.evaluate("() => document.querySelector('.gw-dash-body').scrollTo(0, 305)")
        picture(page, "dashboard-one-gpu", into)
        page.context.close()
        page = opened(browser, server, past=900, dark=True, tab="mine", range=300)
        picture(page, "dashboard-dark", into)
        page.context.close()
        page = opened(browser, server, gpu=whole["uuid"])  # dark: the theme is the user's setting
        server.kill9()
        page.get_by_test_id("gw-dash-lost").wait_for()
        page.wait_for_timeout(1500)
        page.keyboard.press("Escape")  # JupyterLab's own dialog about it
        picture(page, "dashboard-disconnected", into)
        page.context.close()


def many(browser: Browser, root: Path, into: Path) -> None:
    with lab_with(root, fleet_of(1000), claim_seconds=86_400) as server:
        for count in (64, 64, 64, 64, 64, 64, 40, 9):
            hold(server, "gpu", count=count, name=f"sweep-{count}")
        page = opened(browser, server, past=700, dark=True)
        page.get_by_text("reading…").first.wait_for(state="detached")
        picture(page, "dashboard-thousand", into)
        page.context.close()


def broken(browser: Browser, root: Path, into: Path) -> None:
    """A driver that is not there: what is wrong, and what would help."""
    with lab_with(root, None, devices="nvml") as server:
        page = open_dashboard(browser, server, size=(1400, 600))
        page.evaluate("() => window.jupyterapp.shell.collapseLeft()")
        picture(page, "dashboard-error", into)
        page.context.close()


def main() -> None:
    into = Path(sys.argv[1]) if len(sys.argv) > 1 else IMAGES
    into.mkdir(parents=True, exist_ok=True)
    scenes = {scene.__name__: scene for scene in (few, many, broken)}
    for scene in [scenes[name] for name in sys.argv[2:]] or scenes.values():
        with tempfile.TemporaryDirectory() as root, chromium() as browser:
            scene(browser, Path(root), into)


if __name__ == "__main__":
    main()
