"""What a command is, and what several of them share."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO


@dataclass(frozen=True, slots=True)
class Command:
    """One word after `gpu-workbench`. `run` prints to the stream and returns the exit code."""

    name: str
    help: str
    arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace, TextIO], int]
    more: str = ""

    @property
    def description(self) -> str:
        return f"{self.help} {self.more}".strip()


def add_data_dir(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data-dir",
        type=Path,
        metavar="DIR",
        help="the server's data directory; default: what Jupyter's configuration says "
        "(GpuWorkbenchApp.data_dir, store_url), or gpu-workbench in Jupyter's data directory",
    )


def data_dir(arguments: argparse.Namespace) -> Path | None:
    """As given; None is what the server's configuration says."""
    given: Path | None = arguments.data_dir
    return given.expanduser() if given else None


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], right: frozenset[str]) -> str:
    """Columns with their heads, those named in `right` flush right."""
    widths = [max(len(cell) for cell in column) for column in zip(heads, *rows, strict=True)]
    lines = [
        "  ".join(
            cell.rjust(width) if head in right else cell.ljust(width)
            for head, cell, width in zip(heads, row, widths, strict=True)
        ).rstrip()
        for row in (heads, *rows)
    ]
    return "\n".join(lines)
