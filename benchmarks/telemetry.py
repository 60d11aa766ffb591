"""Telemetry fan-out beside jupyterlab-nvdashboard 0.15 (BENCHMARKS §6).

    dev.py bench telemetry [--watchers 1,16,64,256] [--gpus 1,8] [--pcie-ms 0,20] [--mig]
                           [--only ours] [--seconds 5] [--phases 10] [--stall 60] [--json FILE]

Each extension has a Jupyter server of its own on the same fake NVML library; both run all the time,
one is measured at a time. Watchers are real WebSocket connections in processes of their own. Ours
get ticks at the server's 2 Hz; theirs choose their rate themselves: 100 ms is their default, and
500 ms is ours. "Unrelated" is `GET /api/status`. All watchers are connected all the time; in phases
of two seconds they are shown, and hidden (ours) or paused (theirs), which is as if nobody watched,
so that whatever else the machine does meets both alike. "Watched" is once with windows that read
what comes at once, on the CPUs that the server has, and once ("far") with such as leave it in the
system's buffers until the phase is over, which is nearer to windows on machines of their own. CPU
is the server process's, all threads, sampling included; "added" is without what it needs with
nobody watching. The server of one side carries no other extension.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from gpu_workbench.protocol import BASE_PATH
from tests.fakes.nvml.build import install
from tests.fakes.nvml.driver import FakeDriver, FakeGpu, h100_layout

from ._helper import Helper
from ._telemetry_server import Server, install_peer, serving

PHASE = 2.0
PHASES = {"alone": "hide", "watched": "show", "far": "show"}
"""What windows say in each."""
ENOUGH = 120.0
"""Seconds after which no new phase begins: one request may take a minute where all are blocked."""
SETTLE = 3.0
"""Seconds after the watchers have come: what they are told at first is not the rhythm."""


@dataclass(frozen=True)
class Side:
    """What is watched: a server, the address of its stream, and what a watcher says."""

    name: str
    server: Server
    path: str
    show: str
    hide: str


@dataclass(frozen=True)
class Row:
    """One line of the table; see the head of this file."""

    who: str
    gpus: int
    pcie_ms: int
    mig: bool
    watchers: int
    requests: int
    alone_p50_ms: float
    alone_p99_ms: float
    watched_p50_ms: float
    watched_p99_ms: float
    far_p50_ms: float
    far_p99_ms: float
    nvml_calls_s: float
    rate_each_s: float
    bytes_each: float
    age_p50_ms: float
    age_p99_ms: float
    cpu_ms_message: float
    added_cpu_ms_message: float


@contextmanager
def watching(side: Side, count: int, *how: str) -> Iterator[Helper]:
    """So many watchers are connected."""
    url = side.server.url + side.path
    with Helper("_telemetry_watchers", url, side.server.token, count, side.show, *how) as helper:
        connected = int(helper.told().removeprefix("ready "))
        if connected < count:
            print(f"  only {connected} of {count} could connect to {side.name} in a minute")
        yield helper


def p99(values: list[float]) -> float:
    return quantiles(values, n=100)[98] if len(values) > 1 else values[0]


def measure(side: Side, count: int, asked: argparse.Namespace, case: dict[str, Any]) -> Row:
    server, took = side.server, {name: list[float]() for name in PHASES}
    idle = server.cpu()
    time.sleep(asked.seconds)
    idle = (server.cpu() - idle) / asked.seconds
    with (
        watching(side, count) as watchers,
        Helper("_probe", f"{server.url}/api/status", server.token, 0.005) as probe,
    ):
        time.sleep(SETTLE)
        cpu, calls = server.cpu(), server.nvml_calls()
        got = json.loads(watchers.ask(f"count {asked.seconds}"))
        cpu, calls = server.cpu() - cpu, server.nvml_calls() - calls
        until = time.monotonic() + ENOUGH
        for number in range(asked.phases):
            if number and time.monotonic() > until:
                break
            for name, says in PHASES.items():
                there = int(watchers.ask(f"send {getattr(side, says)}"))
                watchers.ask("rest" if name == "far" else "read")
                time.sleep(0.5)
                took[name] += json.loads(probe.ask(str(PHASE)))
            watchers.ask("read")
    if there < count:
        print(f"  only {there} of {count} watchers of {side.name} were there at the end")
    messages = max(1.0, got["messages"])
    latency: dict[str, Any] = {f"{name}_p50_ms": median(one) for name, one in took.items()}
    latency |= {f"{name}_p99_ms": p99(one) for name, one in took.items()}
    return Row(
        who=side.name,
        watchers=count,
        requests=len(took["watched"]),
        **latency,
        nvml_calls_s=calls / got["seconds"],
        rate_each_s=got["messages"] / got["seconds"] / count,
        bytes_each=got["bytes"] / messages,
        age_p50_ms=got["age_p50_ms"],
        age_p99_ms=got["age_p99_ms"],
        cpu_ms_message=cpu / messages * 1000,
        added_cpu_ms_message=(cpu - idle * got["seconds"]) / messages * 1000,
        **case,
    )


def stalled(side: Side, seconds: float) -> float:
    """Megabytes that the server has grown by while four watchers read nothing."""
    time.sleep(2.0)
    before = side.server.rss()
    with watching(side, 4, "stalled"):
        time.sleep(seconds)
        return (side.server.rss() - before) / 1e6


LIVE = f"{BASE_PATH}/live"
THEIRS = "/nvdashboard/gpu_resource"


def peer(name: str, server: Server, milliseconds: float) -> Side:
    def says(paused: bool) -> str:
        return json.dumps({"updateFrequency": milliseconds, "isPaused": paused})

    return Side(name, server, THEIRS, says(False), says(True))


def own(name: str, server: Server) -> Side:
    return Side(name, server, LIVE, '{"hidden": false}', '{"hidden": true}')


def sides(stack: ExitStack, place: Path, gpus: int, pcie_ms: int, mig: bool) -> list[Side]:
    """Both servers on the same driver, each with a copy of it that counts its calls."""
    layout = h100_layout() if mig else None
    driver = FakeDriver(gpus=[FakeGpu(activity=70, used=20 << 30, instances=layout)] * gpus)
    fakes = [install(driver, place / f"driver-{who}") for who in ("ours", "theirs")]
    ours = stack.enter_context(
        serving(
            "gpu_workbench_server",
            place / "ours",
            fakes[0],
            ("--GpuWorkbenchApp.devices=nvml", "--GpuWorkbenchApp.live_windows=1000"),
            pcie_ms,
        )
    )
    theirs = stack.enter_context(
        serving(
            "jupyterlab_nvdashboard",
            place / "theirs",
            fakes[1],
            (),
            pcie_ms,
            install_peer(),
        )
    )
    return [
        own("ours, 2 Hz", ours),
        peer("theirs, 100 ms", theirs, 100),
        peer("theirs, 500 ms", theirs, 500),
    ]


HEAD = (
    f"{'':15}{'GPUs':>5}{'PCIe':>5}{'N':>5} │ {'unrelated request, ms':^45} │ {'NVML':>7}"
    f"{'rate/':>7}{'bytes':>7}{'age, ms':>13}{'CPU ms/message':>16}\n"
    f"{'':15}{'':>5}{'ms':>5}{'':>5} │ {'p50 alone→watched→far':>23}{'p99':>22} │ {'calls/s':>7}"
    f"{'s each':>7}{'':>7}{'p50':>6}{'p99':>7}{'all':>8}{'added':>8}"
)


def line(row: Row) -> str:
    name = f"{row.who}{' MIG' if row.mig else ''}"
    p50 = f"{row.alone_p50_ms:.2f}→{row.watched_p50_ms:.2f}→{row.far_p50_ms:.2f}"
    high = f"{row.alone_p99_ms:.2f}→{row.watched_p99_ms:.2f}→{row.far_p99_ms:.2f}"
    return (
        f"{name:15}{row.gpus:5}{row.pcie_ms:5}{row.watchers:5} │ {p50:>23}{high:>22} │ "
        f"{row.nvml_calls_s:7.0f}{row.rate_each_s:7.2f}{row.bytes_each:7.0f}{row.age_p50_ms:6.1f}"
        f"{row.age_p99_ms:7.1f}{row.cpu_ms_message:8.3f}{row.added_cpu_ms_message:8.3f}"
    )


def verdict(rows: list[Row]) -> list[str]:
    """The goals, with the figures that meet or miss them."""
    told = []
    ours = [row for row in rows if row.who.startswith("ours")]
    for case in sorted({(row.gpus, row.pcie_ms, row.mig) for row in rows}):
        name = f"{case[0]} GPUs, PCIe {case[1]} ms{', MIG' if case[2] else ''}"
        here = [row for row in ours if (row.gpus, row.pcie_ms, row.mig) == case]
        theirs = [r for r in rows if (r.gpus, r.pcie_ms, r.mig) == case and r not in ours]
        if here:
            calls = [row.nvml_calls_s for row in here]
            most = max(here, key=lambda row: row.watchers)
            near, far = (
                p99 / most.alone_p99_ms - 1 for p99 in (most.watched_p99_ms, most.far_p99_ms)
            )
            told.append(
                f"{name}: NVML calls/s {min(calls):.0f} to {max(calls):.0f} however many watch; "
                f"unrelated p99 with {most.watchers} {near:+.0%}, far {far:+.0%} (goal: 10 %)"
            )
        for row in here:
            shares = [
                f"{row.cpu_ms_message / one.cpu_ms_message:.2f} of {one.who}"
                for one in theirs
                if one.watchers == row.watchers
            ]
            if shares:
                told.append(f"{name}, {row.watchers}: CPU a message {', '.join(shares)} (≤ 0.25)")
    return told


def stall_table(stack: ExitStack, place: Path, seconds: float) -> dict[str, float]:
    """Growth in MB with four stalled readers: 8 GPUs, and ours with 1,000 simulated ones."""
    found = {}
    both = sides(stack, place / "stalled", 8, 0, False)
    for side in (both[0], both[1], peer("theirs, 1 ms", both[1].server, 1)):
        found[side.name] = stalled(side, seconds)
    fleet = (
        f'[[gpu]]\nmodel = "H100"\nmemory_gb = 80\ncount = 8\nnode = "n{n}"\n' for n in range(125)
    )
    (place / "fleet.toml").write_text("".join(fleet))
    many = stack.enter_context(
        serving(
            "gpu_workbench_server",
            place / "many",
            None,
            (
                "--GpuWorkbenchApp.devices=simulated",
                f"--GpuWorkbenchApp.fleet_file={place / 'fleet.toml'}",
            ),
        )
    )
    fleet_view = own("ours, 1,000 simulated GPUs", many)
    with watching(fleet_view, 1):
        time.sleep(20)  # its rings have grown to what they are after a while
        found[fleet_view.name] = stalled(fleet_view, seconds)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("watchers", "1,16,64,256"), ("gpus", "1,8"), ("pcie-ms", "0,20")):
        parser.add_argument(f"--{name}", default=default)
    parser.add_argument("--mig", action="store_true", help="every GPU cut into four instances")
    parser.add_argument("--only", default="", help="a side whose name begins so: ours, theirs")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--phases", type=int, default=10, help="watched, and as many unwatched")
    parser.add_argument("--stall", type=float, default=60.0, help="seconds; 0 leaves it out")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    counts, gpus, windows = (
        [int(one) for one in text.split(",") if one]
        for text in (asked.watchers, asked.gpus, asked.pcie_ms)
    )
    rows: list[Row] = []
    grown: dict[str, float] = {}
    print(HEAD, flush=True)
    with tempfile.TemporaryDirectory(prefix="bench-telemetry-") as name:
        for many in gpus:
            for window in windows:
                with ExitStack() as stack:
                    place = Path(name) / f"{many}-{window}"
                    both = sides(stack, place, many, window, asked.mig)
                    both = [side for side in both if side.name.startswith(asked.only)]
                    case = {"gpus": many, "pcie_ms": window, "mig": asked.mig}
                    for count in counts:
                        for side in both:
                            rows.append(measure(side, count, asked, case))
                            print(line(rows[-1]), flush=True)
        if asked.stall:
            with ExitStack() as stack:
                grown = stall_table(stack, Path(name), asked.stall)
    print()
    for who, megabytes in grown.items():
        print(f"four stalled readers, {asked.stall:.0f} s: {who}: {megabytes:+.1f} MB")
    for told in verdict(rows):
        print(told)
    if asked.json:
        result = {"rows": [asdict(row) for row in rows], "stalled_mb": grown}
        asked.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
