"""A dashboard left open over night: 30 simulated hours, accelerated, and what they cost in memory.

    dev.py bench overnight [--hours 30] [--gpus 64] [--plot FILE] [--json FILE]

A real JupyterLab in a real Chromium gets two ticks for each second of those hours, from its own
WebSocket and through its own decoder, only with times that run ahead (tests/support/feed.js). Each
half hour somebody does something: another GPU, range, tab, colour, a pause. Then garbage is
collected, and the JavaScript heap, the page's nodes and its listeners are counted. `flat` compares
the last third of the time with the second: the first is warming up.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean

from playwright.sync_api import CDPSession, Page

from tests.support.dashboards import chromium, fleet_of, hold, lab_with, open_dashboard, run

PER_SECOND = 2
AT_ONCE = 240
"""Ticks between two frames of the page: two minutes."""
RANGES = (60, 300, 900, 3600, 21_600, 86_400, 604_800)
COLOURS = ("activity", "memory_bytes", "power_watts", "sm_activity", "temperature_c")
ALLOWED = 0.05
"""Growth from one third of the time to the next that is taken for noise."""

FEED = """([count, seconds, most]) => new Promise(done => {
  let left = count;
  const some = () => {
    const now = Math.min(left, most);
    window.gwFeed.run(now, seconds);
    left -= now;
    left > 0 ? requestAnimationFrame(some) : done(window.gwFeed.time);
  };
  some();
})"""


@dataclass(frozen=True)
class Point:
    """What the page holds after so many hours."""

    hours: float
    heap_mb: float
    nodes: int
    listeners: int


def count(devtools: CDPSession, hours: float) -> Point:
    """After two collections: what the first one finalises is freed by the second."""
    for _ in range(2):
        devtools.send("HeapProfiler.collectGarbage")
    used = devtools.send("Runtime.getHeapUsage")["usedSize"]
    counters = devtools.send("Memory.getDOMCounters")
    return Point(hours, used / 2**20, counters["nodes"], counters["jsEventListeners"])


def fiddle(page: Page, uuids: list[str], turn: int) -> None:
    """What somebody might do now and then."""
    shown = {"range": RANGES[turn % len(RANGES)], "metric": COLOURS[turn % len(COLOURS)]}
    shown |= {"tab": "mine"} if turn % 5 == 4 else {"tab": "gpu", "gpu": uuids[turn % len(uuids)]}
    run(page, "gpu-workbench:open-dashboard", **shown)
    if turn % 4 == 1:
        page.get_by_test_id("gw-dash-pause").click()
        page.get_by_test_id("gw-dash-live").click()
    if turn % 6 == 2:
        page.get_by_test_id("gw-dash-table").click()
        page.get_by_test_id("gw-dash-table").click()


def night(hours: float, gpus: int) -> list[Point]:
    with (
        tempfile.TemporaryDirectory() as folder,
        chromium() as browser,
        lab_with(Path(folder), fleet_of(gpus), claim_seconds=86_400) as server,
    ):
        for name in ("churn.ipynb", "flights.ipynb", "train.ipynb"):
            hold(server, "0.25", name=name)
        uuids = [one["uuid"] for one in server.api("GET", "fleet")["gpus"]][:8]
        page = open_dashboard(browser, server, made_up=True, gpu=uuids[0])
        page.wait_for_function("() => window.gwFeed.ticks > 6")
        page.evaluate("() => { window.gwFeed.own = true; }")
        devtools = page.context.new_cdp_session(page)
        points = [count(devtools, 0.0)]
        for turn in range(int(hours * 2)):
            fiddle(page, uuids, turn)
            ticks = 1800 * PER_SECOND
            page.evaluate(FEED, [ticks, 1 / PER_SECOND, AT_ONCE])
            points.append(count(devtools, (turn + 1) / 2))
            print(f"{points[-1].hours:5.1f} h  {points[-1].heap_mb:6.1f} MB", flush=True)
        return points


def growth(points: list[Point]) -> float:
    """Share by which the heap of the last third is larger than that of the second."""
    third = len(points) // 3
    second = mean(one.heap_mb for one in points[third : 2 * third])
    return mean(one.heap_mb for one in points[2 * third :]) / second - 1


def plot(points: list[Point], path: Path) -> None:
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 2.6), dpi=110)
    axes.plot([one.hours for one in points], [one.heap_mb for one in points], color="#1668a8")
    axes.set_ylim(0, max(one.heap_mb for one in points) * 1.25)
    axes.set_xlabel("simulated hours, two ticks a second")
    axes.set_ylabel("JavaScript heap after GC, MB")
    axes.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=float, default=30.0)
    parser.add_argument("--gpus", type=int, default=64)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    points = night(asked.hours, asked.gpus)
    more, last = growth(points), points[-1]
    print(
        f"{asked.gpus} GPUs, {last.hours:g} h: heap {points[0].heap_mb:.1f} MB at the start, "
        f"{last.heap_mb:.1f} MB at the end; last third against the second {more:+.1%} "
        f"({'flat' if more < ALLOWED else 'NOT FLAT'}); nodes {points[0].nodes} → {last.nodes}, "
        f"listeners {points[0].listeners} → {last.listeners}"
    )
    if asked.plot:
        plot(points, asked.plot)
    if asked.json:
        asked.json.write_text(json.dumps([asdict(one) for one in points]))


if __name__ == "__main__":
    main()
