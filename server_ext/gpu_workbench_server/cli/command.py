"""What a command is, and what several of them share."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from jupyter_core.paths import jupyter_data_dir


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
        help="the server's data directory (GpuWorkbenchApp.data_dir); default: gpu-workbench in "
        "Jupyter's data directory",
    )


def data_dir(arguments: argparse.Namespace) -> Path:
    """As given, or where the server keeps it by default."""
    given: Path | None = arguments.data_dir
    return given.expanduser() if given else Path(jupyter_data_dir()) / "gpu-workbench"


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
