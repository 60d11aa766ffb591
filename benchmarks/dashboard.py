"""The dashboard with 1,000 simulated GPUs: frames a second, and the size of what is loaded.

    dev.py bench dashboard [--gpus N] [--seconds S] [--json FILE]

A real JupyterLab and a headless Chromium that paints in software. While it is measured the page
scrolls, up and down, the fleet's map and the page itself, and the server's ticks arrive at 2 Hz
with figures made up in the page. Frames are counted twice: by `requestAnimationFrame`, and by the
frames that Chromium's own trace saw drawn. The load of the machine is printed beside them.
"""

from __future__ import annotations

import argparse
import gzip
import itertools
import json
import os
import tempfile
from pathlib import Path
from statistics import quantiles
from typing import Any

from playwright.sync_api import CDPSession

from tests.support.dashboards import chromium, fleet_of, hold, lab_with, open_dashboard

STATIC = Path(__file__).resolve().parents[1] / "server_ext/gpu_workbench_server/labextension/static"
TRACED = ["devtools.timeline.frame", "disabled-by-default-devtools.timeline.frame"]
GOAL = 50.0
"""Frames a second."""

SCROLL = """seconds => new Promise(done => {
  const map = document.querySelector('[data-testid="gw-heat"]');
  const body = document.querySelector('.gw-dash-body');
  const [ticks, start] = [window.gwFeed.ticks, performance.now()];
  const frames = [];
  const step = now => {
    frames.push(now);
    const t = (now - start) / 1000;
    const there = one => (one.scrollHeight - one.clientHeight) * (0.5 - 0.5 * Math.cos(t * 2));
    map.scrollTop = there(map);
    body.scrollTop = there(body) * 0.5;
    if (t < seconds) {
      requestAnimationFrame(step);
    } else {
      done({ frames, ticks: window.gwFeed.ticks - ticks, seconds: t });
    }
  };
  requestAnimationFrame(step);
})"""


def frames(gpus: int, seconds: float) -> dict[str, Any]:
    """Measures one page; with the share of frames that came later than 1/50 s."""
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        server = lab_with(Path(folder), fleet_of(gpus), grace_seconds=3600.0)
        with server:
            for _ in range(max(1, gpus // 128)):
                hold(server, "gpu", count=min(64, gpus))
            page = open_dashboard(browser, server, made_up=True)
            page.wait_for_function("() => window.gwFeed.ticks > 6", timeout=120_000)
            load = os.getloadavg()[0]
            devtools = page.context.new_cdp_session(page)
            devtools.send("Performance.enable", {"timeDomain": "threadTicks"})
            before = busy(devtools)
            browser.start_tracing(page=page, categories=TRACED)
            measured = page.evaluate(SCROLL, seconds)
            trace = json.loads(browser.stop_tracing())
            spent = busy(devtools) - before
            times = measured["frames"]
            gaps = [later - sooner for sooner, later in itertools.pairwise(times)]
            drawn = sum(one["name"] == "DrawFrame" for one in trace["traceEvents"])
            return {
                "gpus": gpus,
                "seconds": measured["seconds"],
                "fps": len(gaps) / measured["seconds"],
                "trace_fps": drawn / measured["seconds"],
                "cpu_ms": spent / len(gaps) * 1000,
                "p95_ms": quantiles(gaps, n=20)[-1],
                "worst_ms": max(gaps),
                "ticks_per_s": measured["ticks"] / measured["seconds"],
                "load": load,
            }


def busy(devtools: CDPSession) -> float:
    """Seconds of processor time that the page's main thread has used so far."""
    metrics = devtools.send("Performance.getMetrics")["metrics"]
    return next(float(one["value"]) for one in metrics if one["name"] == "TaskDuration")


def sizes() -> list[tuple[str, int, int]]:
    """(what, bytes, gzipped bytes) of each piece of JavaScript that the extension loads."""
    marks = (
        ("the dashboard, loaded with the first one", "arrow keys move"),
        ("the pages of jobs, loaded with the first one", "gw-newjob-args"),
        ("uPlot, for panel and dashboard", "alignGaps"),
        ("panel, plugins, model", "gpu-workbench:open-panel"),
        ("style sheets", ".gw-panel"),
    )
    rows = []
    for path in sorted(STATIC.glob("*.js")):
        text = path.read_text()
        found = (what for what, mark in marks if mark in text)
        what = next(found, "module federation")
        size = len(text.encode())
        rows.append((f"{path.name.split('.')[0]}: {what}", size, len(gzip.compress(text.encode()))))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gpus", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    print(f"{'bundle':64} {'bytes':>8} {'gzip':>8}")
    for what, size, packed in sizes():
        print(f"{what:64} {size:8} {packed:8}")
    result = frames(asked.gpus, asked.seconds)
    print(
        f"\n{result['gpus']} GPUs, {result['seconds']:.1f} s of scrolling, "
        f"{result['ticks_per_s']:.1f} ticks/s, machine's load {result['load']:.1f}:\n"
        f"  {result['fps']:.1f} frames/s (goal {GOAL:.0f}); Chromium's trace "
        f"{result['trace_fps']:.1f}; 95 % within {result['p95_ms']:.0f} ms, "
        f"worst {result['worst_ms']:.0f} ms\n"
        f"  main thread: {result['cpu_ms']:.1f} ms of processor time a frame (50/s leave 20)"
    )
    if asked.json:
        asked.json.write_text(json.dumps({"frames": result, "bundle": sizes()}, indent=1))


if __name__ == "__main__":
    main()
