"""`gpu-workbench doctor`: what works here, and what to do about what does not."""

from __future__ import annotations

import argparse
import dataclasses
import json
import textwrap
from functools import partial
from typing import TextIO

from . import outside
from .checks import Finding, all_checks, findings
from .command import Command, add_data_dir, data_dir

_MARKS = {"ok": "✓", "note": "–", "warning": "!", "failure": "✗"}


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="for programs")
    add_data_dir(parser)


def _run(arguments: argparse.Namespace, out: TextIO) -> int:
    found = findings(all_checks(partial(outside.settings, data_dir(arguments))))
    usable = not any(one.level == "failure" for one in found)
    if arguments.json:
        listed = [dataclasses.asdict(one) for one in found]
        print(json.dumps({"usable": usable, "findings": listed}, indent=2), file=out)
    else:
        _print(found, usable, out)
    return 0 if usable else 1


COMMAND = Command(
    "doctor",
    "Say what works here and what to do about what does not.",
    _arguments,
    _run,
    "Changes nothing. The exit code is 0 where GPU Workbench can be used, also with warnings.",
)


def _print(found: list[Finding], usable: bool, out: TextIO) -> None:
    width = max(len(one.name) for one in found)
    indent = " " * (width + 4)
    for one in found:
        head = f"{_MARKS[one.level]} {one.name.ljust(width)}  "
        print(
            textwrap.fill(
                one.message, 100, initial_indent=head, subsequent_indent=indent,
                break_long_words=False, break_on_hyphens=False,
            ),
            file=out,
        )  # fmt: skip
        if one.hint:
            print(
                textwrap.fill(
                    one.hint, 100, initial_indent=f"{indent}→ ", subsequent_indent=f"{indent}  ",
                    break_long_words=False, break_on_hyphens=False,
                ),
                file=out,
            )  # fmt: skip
    troubles = sum(one.level == "failure" for one in found)
    warnings = sum(one.level == "warning" for one in found)
    if usable:
        note = f", {warnings} warning{'s' * (warnings != 1)}" if warnings else ""
        print(f"\nGPU Workbench can be used here{note}.", file=out)
    else:
        print(f"\nGPU Workbench can't be used here: {troubles} to be mended (✗).", file=out)
