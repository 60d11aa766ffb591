"""`gpu-workbench` on the command line: `doctor`, `fleet`, `simulate`, `usage`.

Each command is a module that knows how to ask and how to print; what it needs of the store and the
devices comes through `outside`. Errors are a message and a hint on stderr, exit code 1; a wrong
call is exit code 2.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from .. import __version__
from ..errors import WorkbenchError
from . import doctor, fleet, simulate, usage

COMMANDS = (doctor.COMMAND, fleet.COMMAND, simulate.COMMAND, usage.COMMAND)
"""What there is, in the order of help and docs."""


def parser() -> argparse.ArgumentParser:
    """The whole command line; the docs are generated from it."""
    top = argparse.ArgumentParser(
        prog="gpu-workbench", description="Share GPUs from inside JupyterLab: what works, what is."
    )
    top.add_argument("--version", action="version", version=__version__)
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in COMMANDS:
        one = commands.add_parser(command.name, help=command.help, description=command.description)
        command.arguments(one)
        one.set_defaults(run=command.run)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    arguments = parser().parse_args(argv)
    try:
        return int(arguments.run(arguments, sys.stdout))
    except WorkbenchError as error:
        print(error.message, file=sys.stderr)
        if error.hint:
            print(error.hint, file=sys.stderr)
        return 1
    except BrokenPipeError:  # `gpu-workbench usage | head`
        sys.stderr.close()
        return 0
