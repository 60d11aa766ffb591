"""Thirty hours in some minutes: does a dashboard that stays open eat the server's memory?

    dev.py bench soak [--hours 30] [--faster 300] [--plot PNG] [--json FILE]

A real Jupyter server with the extension on simulated GPUs, whose clock runs 300 times as fast.
Windows watch the fleet and one GPU, one of them reads nothing, leases come and go all the time, and
somebody asks for the history. Resident memory is read from the system, once for every ten minutes
of the server's clock. Judged from the sixth hour on, when the rings of six hours are full: the
minutes of seven days still grow until then, by what the table says.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from gpu_workbench.protocol import BASE_PATH

from ._helper import Helper
from ._telemetry_server import Server, serving

WARM_UP_HOURS = 6.0
FLAT_MB = 5.0
"""Growth from the sixth to the last hour that counts as flat: a few percent of the process."""


def call(server: Server, method: str, path: str, body: Any = None) -> Any:
    asked = urllib.request.Request(
        f"{server.url}{BASE_PATH}/{path}",
        data=None if body is None else json.dumps(body).encode(),
        method=method,
        headers={"Authorization": f"token {server.token}"},
    )
    with urllib.request.urlopen(asked, timeout=60) as answer:
        return json.loads(answer.read())


def soak(server: Server, hours: float, faster: float) -> dict[str, Any]:
    """Points of (hour, MB), leases that came and went, ticks that each watcher got."""
    gpu = next(iter(call(server, "GET", "fleet")["gpus"]))["uuid"]
    took = hours * 3600 / faster
    stream = f"{server.url}{BASE_PATH}/live"
    watchers = [
        Helper("_telemetry_watchers", stream, server.token, 1, json.dumps({"gpu": shown}), *how)
        for shown, how in ((None, ()), (gpu, ()), (None, ("stalled",)))
    ]
    for one in watchers:
        one.told()
    for one in watchers[:2]:
        one.say(f"count {took}")
    points: list[tuple[float, float]] = []
    leases, began = 0, time.monotonic()
    while (passed := time.monotonic() - began) < took:
        asked = call(server, "POST", "requests", {"what": "10GB"})
        leases += 1
        number, granted = asked["id"], asked["state"] == "granted"
        call(server, "GET", f"telemetry/history?subject=gpus,lease:{number}&seconds=86400")
        if leases % 2 or not granted:  # the other ones are reclaimed, as nothing takes them
            with suppress(urllib.error.HTTPError):  # or is over by itself just now
                call(server, "DELETE", f"{'leases' if granted else 'requests'}/{number}")
        hour = passed * faster / 3600
        if not points or hour >= points[-1][0] + 1 / 6:
            points.append((hour, server.rss() / 1e6))
            print(f"{hour:6.1f} h {points[-1][1]:8.1f} MB {leases:6} leases", flush=True)
        time.sleep(0.25)
    ticks = [json.loads(one.told())["messages"] for one in watchers[:2]]
    for one in watchers:
        one.end()
    return {"points": points, "leases": leases, "ticks": ticks, "hours": hours}


def grown(points: list[tuple[float, float]]) -> float:
    """MB from the end of the warm-up to the end: medians of an hour, as pages come and go."""
    start = min(WARM_UP_HOURS, points[-1][0] / 2)
    middle = [mb for hour, mb in points if start <= hour < start + 1]
    end = [mb for hour, mb in points if hour >= points[-1][0] - 1]
    return sorted(end)[len(end) // 2] - sorted(middle)[len(middle) // 2]


def plot(found: dict[str, Any], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 3), dpi=80)
    hours, sizes = zip(*found["points"], strict=True)
    axes.plot(hours, sizes)
    axes.set(xlabel="hours of the server's clock", ylabel="resident memory, MB")
    axes.set_ylim(0, 1.3 * max(sizes))
    axes.set_title(
        f"{found['leases']} leases, {sum(found['ticks'])} ticks to two windows; a third is stalled",
        fontsize=9,
    )
    axes.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(path)


def run(hours: float, faster: float) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="soak-") as name, ExitStack() as stack:
        os.environ["SOAK_FASTER"] = str(faster)
        server = stack.enter_context(
            serving(
                "gpu_workbench_server",
                Path(name) / "server",
                None,
                (
                    "--GpuWorkbenchApp.devices=simulated",
                    "--GpuWorkbenchApp.lease_ttl=36000",
                    "--GpuWorkbenchApp.claim_seconds=1200",
                    "--GpuWorkbenchApp.default_seconds=3600",
                ),
                module="benchmarks._soak_server",
            )
        )
        return soak(server, hours, faster)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=float, default=30.0)
    parser.add_argument("--faster", type=float, default=300.0)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    found = run(asked.hours, asked.faster)
    if asked.json:
        asked.json.write_text(json.dumps(found) + "\n")
    if asked.plot:
        plot(found, asked.plot)
    more = grown(found["points"])
    flat = more < FLAT_MB
    print(f"{more:+.1f} MB from hour {WARM_UP_HOURS:g} on: {'flat' if flat else 'NOT FLAT'}")
    return 0 if flat else 1


if __name__ == "__main__":
    sys.exit(main())
