"""`gpu-workbench usage`: what was held and what was used, from the server's own ledger."""

from __future__ import annotations

import argparse
import csv
import re
import time
from collections.abc import Sequence
from datetime import datetime
from typing import TextIO

import msgspec

from gpu_workbench import protocol as wire

from ..ports import Store
from ..services.views import running_row, usage_row
from . import outside
from .command import Command, add_data_dir, data_dir, table

_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*([mhdw])")
_SECONDS = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
COLUMNS = wire.UsageRow.__struct_fields__


def since(text: str) -> float:
    """Seconds since the epoch of "7d", "12h", "30m", "2w", or a date such as "2026-11-01"."""
    found = _SPAN.fullmatch(text.strip().lower())
    if found:
        return time.time() - float(found[1]) * _SECONDS[found[2]]
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        raise argparse.ArgumentTypeError(
            f'{text!r} is neither a time span ("7d", "12h") nor a date ("2026-11-01")'
        ) from None


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--since",
        type=since,
        default="7d",
        metavar="WHEN",
        help='leases that ended since then, and those that run: "7d", "12h", "2026-11-01"; '
        "default: 7d",
    )
    parser.add_argument("--user", metavar="NAME", help="only this user's leases")
    shape = parser.add_mutually_exclusive_group()
    shape.add_argument("--csv", action="store_true", help="for spreadsheets; times in seconds")
    shape.add_argument("--json", action="store_true", help="for programs, as GET /usage answers")
    add_data_dir(parser)


def _run(arguments: argparse.Namespace, out: TextIO) -> int:
    with outside.opened_store(outside.settings(data_dir(arguments))) as store:
        found = usage(store, arguments.user, arguments.since, time.time())
    if arguments.json:
        print(msgspec.json.format(msgspec.json.encode(found), indent=2).decode(), file=out)
    elif arguments.csv:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows([getattr(row, column) for column in COLUMNS] for row in found.rows)
    else:
        _print(found, out)
    return 0


COMMAND = Command(
    "usage",
    "Show what was held and what was used.",
    _arguments,
    _run,
    "Held and used are in GPU time: half a GPU for two hours is one hour.",
)


def usage(store: Store, user: str | None, start: float, now: float) -> wire.Usage:
    """Ended leases of the ledger since `start`, then those that run."""
    asked = store.asked_at(user, start)
    rows = [usage_row(one, asked) for one in store.ledger(user, start)]
    rows += [
        running_row(one, now, asked)
        for one in store.load().leases
        if one.state != "ended" and user in (None, one.user)
    ]
    used = [row.used_gpu_seconds for row in rows if row.used_gpu_seconds is not None]
    return wire.Usage(
        rows=rows,
        held_gpu_seconds=round(sum(row.held_gpu_seconds for row in rows), 3),
        used_gpu_seconds=round(sum(used), 3) if used else None,
    )


def span(seconds: float | None) -> str:
    """ "1 h 05 min", "3 min 20 s", "12 s"; "unknown" for None."""
    if seconds is None:
        return "unknown"
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02} min"
    return f"{whole // 60} min {whole % 60:02} s" if whole >= 60 else f"{whole} s"


_HEADS = ("lease", "user", "profile", "for", "began", "ended", "held", "used")


def _print(found: wire.Usage, out: TextIO) -> None:
    if not found.rows:
        print("No lease ran in that time.", file=out)
        return
    rows: list[Sequence[str]] = [
        (
            str(row.lease_id),
            row.user,
            row.profile,
            f"{row.purpose} {row.name}".strip(),
            f"{datetime.fromtimestamp(row.granted_at):%Y-%m-%d %H:%M}",
            row.end_reason or "runs",
            span(row.held_gpu_seconds),
            span(row.used_gpu_seconds),
        )
        for row in found.rows
    ]
    print(table(_HEADS, rows, frozenset({"lease", "held", "used"})), file=out)
    held, used = found.held_gpu_seconds, found.used_gpu_seconds
    share = f", {100 * used / held:.0f} % of it" if used is not None and held > 0 else ""
    print(f"\nHeld {span(held)} of GPU time, used {span(used)}{share}.", file=out)
