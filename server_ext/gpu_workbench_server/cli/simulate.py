"""`gpu-workbench simulate`: what a policy would have done, on a trace or on one's own ledger."""

from __future__ import annotations

import argparse
import json
import math
import random
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TextIO

from ..domain.fleet import Gpu
from ..errors import BadRequest, NoDevices
from ..services.policy import Policy
from ..services.policy_file import read_policy
from ..simulate.jobs import Trace, declared_wrong
from ..simulate.plot import check_plot, write_plot
from ..simulate.record import Outcome, figures
from ..simulate.report import as_json, estimate_rows, rows
from ..simulate.run import Simulation
from ..simulate.traces import FORMATS, nodes, read_openb_nodes
from . import outside
from .command import Command, table

_GRID = re.compile(r"(\d+)x(\d+)")


def factors(text: str) -> tuple[float, float]:
    """The bounds of "0.5-3"."""
    low, _, high = text.partition("-")
    try:
        found = float(low), float(high or low)
    except ValueError:
        found = (0.0, 0.0)
    if not 0 < found[0] <= found[1] < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not like 0.5-3")
    return found


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--trace", type=Path, required=True, metavar="FILE", help="what to replay")
    parser.add_argument(
        "--format",
        choices=sorted(FORMATS),
        default="ledger",
        help="of the trace: what `usage --csv` or `--json` writes, a pod list of Alibaba's GPU "
        "trace of 2023, or a job list of Muri; default: ledger",
    )
    parser.add_argument(
        "--fleet",
        metavar="FLEET",
        help="NODESxGPUS such as 8x8, a fleet file (.toml), or a node list of openb (.csv); "
        "default: the trace's own, for a ledger the GPUs of this machine",
    )
    parser.add_argument(
        "--policy",
        type=Path,
        action="append",
        metavar="FILE",
        help="a policy file; several of them are compared; default: the default policy",
    )
    parser.add_argument(
        "--errors",
        type=factors,
        metavar="LOW-HIGH",
        help='everybody declares so many times what the job takes, at random: "0.5-3"',
    )
    parser.add_argument("--seed", type=int, default=42, help="of --errors; default: 42")
    parser.add_argument(
        "--estimates", action="store_true", help="also how right the expected starts were (slower)"
    )
    parser.add_argument("--plot", type=Path, metavar="FILE", help="a picture: .png, .svg, .pdf")
    parser.add_argument("--json", type=Path, metavar="FILE", help="everything, for programs")


def _run(arguments: argparse.Namespace, out: TextIO) -> int:
    if arguments.plot:
        check_plot(arguments.plot)
    policies = {path.stem: read_policy(path) for path in arguments.policy or ()}
    trace = _trace(arguments)
    outcomes: dict[str, Outcome] = {}
    for name, policy in (policies or {"default policy": Policy()}).items():
        outcomes[name] = Simulation(trace, policy, estimates=arguments.estimates).run()
    _print(trace, outcomes, out)
    if arguments.json:
        _write(arguments.json, json.dumps(as_json(outcomes), indent=1) + "\n")
    if arguments.plot:
        write_plot(outcomes, arguments.plot)
        print(f"\nThe picture is in {arguments.plot}.", file=out)
    return 0


COMMAND = Command(
    "simulate",
    "Replay a trace under policies, through the broker's own code, and compare.",
    _arguments,
    _run,
    "Nothing is changed. Jobs that need longer than declared extend, or ask again for the rest.",
)


def _trace(arguments: argparse.Namespace) -> Trace:
    trace = FORMATS[arguments.format](arguments.trace, _fleet(arguments.fleet))
    if not trace.gpus:
        trace = replace(trace, gpus=tuple(_of_this_machine()))
    if arguments.errors:
        rng = random.Random(arguments.seed)
        low, high = map(math.log, arguments.errors)
        drawn = [math.exp(rng.uniform(low, high)) for _ in trace.jobs]
        trace = replace(trace, jobs=declared_wrong(trace.jobs, drawn))
    return trace


def _fleet(text: str | None) -> Sequence[Gpu]:
    """What --fleet says; empty where the trace decides."""
    if text is None:
        return ()
    grid = _GRID.fullmatch(text)
    if grid:
        return nodes(int(grid[1]), int(grid[2]))
    path = Path(text)
    if path.suffix == ".csv":
        return read_openb_nodes(path)
    if path.suffix == ".toml":
        return outside.simulated_gpus(path)
    raise BadRequest(f"“{text}” is no fleet.", "Say 8x8, or name a .toml or .csv file.")


def _of_this_machine() -> Sequence[Gpu]:
    try:
        return outside.real_gpus()
    except NoDevices:
        return outside.simulated_gpus(None)


def _print(trace: Trace, outcomes: dict[str, Outcome], out: TextIO) -> None:
    hosts = len({gpu.node for gpu in trace.gpus})
    print(
        f"{trace.name}: {len(trace.jobs)} jobs on {len(trace.gpus)} GPUs of {hosts} "
        f"node{'s' if hosts > 1 else ''}.",
        file=out,
    )
    for note in trace.notes:
        print(note, file=out)
    print(file=out)
    found = [figures(one) for one in outcomes.values()]
    cells = [*rows(found), *estimate_rows(list(outcomes.values()))]
    print(table(("", *outcomes), cells, frozenset(outcomes)), file=out)
    for name, one in outcomes.items():
        for why in sorted({story.refused for story in one.stories if story.refused})[:3]:
            print(f"\nRefused under {name}: {why}", file=out)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise BadRequest(f"{path} can't be written: {error.strerror}.") from None
