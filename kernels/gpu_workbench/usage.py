"""`gw.usage()`: what I held and what I used of it, from the broker's ledger."""

from __future__ import annotations

import time
from dataclasses import dataclass
from html import escape
from typing import Any

from . import protocol as wire
from .client import get_client
from .display import Rich, at, block, duration, gpu_time, percent, short

_COLUMNS = ("lease", "for", "slice", "from", "held", "used", "end")


@dataclass(frozen=True, repr=False)
class UsageView(Rich):
    """Rows of the ledger, oldest first. `held` and `used` are in seconds of one whole GPU."""

    usage: wire.Usage

    @property
    def held(self) -> float:
        return self.usage.held_gpu_seconds

    @property
    def used(self) -> float | None:
        """None where nothing was measured."""
        return self.usage.used_gpu_seconds

    def rows(self) -> list[dict[str, Any]]:
        """Plain dictionaries: `pandas.DataFrame(gw.usage().rows())`."""
        return [{name: getattr(row, name) for name in row.__struct_fields__} for row in self._all()]

    def _all(self) -> list[wire.UsageRow]:
        return sorted(self.usage.rows, key=lambda row: row.granted_at)

    def _total(self) -> str:
        used = (
            "" if self.used is None else f", used {percent(self.used / max(self.held, 1e-9))} of it"
        )
        return f"{len(self.usage.rows)} leases held {gpu_time(self.held)}{used}"

    def _text(self) -> str:
        lines = [_COLUMNS, *(_cells(row) for row in self._all())]
        widths = [max(len(line[i]) for line in lines) for i in range(len(_COLUMNS))]
        table = ["  ".join(map(str.ljust, line, widths)).rstrip() for line in lines]
        return "\n".join([*table, self._total()])

    def _html(self) -> str:
        head = "".join(f"<th>{escape(name)}</th>" for name in _COLUMNS)
        body = "".join(
            "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in _cells(row)) + "</tr>"
            for row in self._all()
        )
        table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        return block(table, f"<div>{escape(self._total())}</div>")


def usage(days: float = 7.0) -> UsageView:
    """What you held and used in the last so many days, leases that still run included.

    Raises `GpuWorkbenchError`.
    """
    return UsageView(get_client().usage(since=time.time() - days * 86400))


def _cells(row: wire.UsageRow) -> tuple[str, ...]:
    used = "" if row.used_gpu_seconds is None else gpu_time(row.used_gpu_seconds)
    what = f"{row.purpose} {row.name}".strip()
    end = row.end_reason or "still held"
    start = at(row.granted_at)
    return (str(row.lease_id), what, short(row.profile), start, _held(row), used, end)


def _held(row: wire.UsageRow) -> str:
    return f"{duration(row.until - row.granted_at)} = {gpu_time(row.held_gpu_seconds)}"
