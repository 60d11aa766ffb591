"""`%%ranks 2 --per-rank 0.5`: a cell that runs on every rank of a job.

What the cell uses of the notebook travels with it, by value; what it assigns stays on the ranks.
The value of its last line, on rank 0, is the cell's value.
"""

from __future__ import annotations

import argparse
import ast
import shlex
from collections.abc import Mapping
from typing import Any

from .job_display import OVER
from .training import launch


def ranks(line: str, cell: str, namespace: Mapping[str, Any]) -> Any:
    """Run `cell` on ranks and show them until it is over; the stop button stops the job.

    Raises `JobFailed` with the traceback of the rank that failed first, `ValueError` for the line.
    """
    wanted = _options().parse_args(shlex.split(line))
    job = launch(
        run_cell,
        args=(cell, used_names(cell, namespace)),
        ranks=wanted.ranks,
        per_rank=wanted.per_rank,
        hours=wanted.hours,
        pool=wanted.pool,
        name=wanted.name,
    )
    if job.watch().status.state not in OVER:  # it was interrupted
        job.stop()
        return None
    return job.result()


def used_names(cell: str, namespace: Mapping[str, Any]) -> dict[str, Any]:
    """What the cell reads of the notebook's variables. Raises `SyntaxError`."""
    read = {
        node.id
        for node in ast.walk(ast.parse(cell))
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    }
    return {name: namespace[name] for name in sorted(read) if name in namespace}


def run_cell(cell: str, names: Mapping[str, Any]) -> Any:
    """On a rank: the value of the cell's last line, where that is an expression."""
    scope = {"__name__": "__main__", **names}
    tree = ast.parse(cell)
    value: ast.expr | None = None
    if tree.body and isinstance(last := tree.body[-1], ast.Expr):
        value = last.value
        tree.body.pop()
    exec(compile(tree, "<ipython-cell>", "exec"), scope)
    if value is None:
        return None
    return eval(compile(ast.Expression(value), "<ipython-cell>", "eval"), scope)


class _Options(argparse.ArgumentParser):
    def error(self, message: str) -> Any:
        raise ValueError(f"%%ranks: {message}. As in: %%ranks 2 --per-rank 0.5 --hours 1")


def _options() -> argparse.ArgumentParser:
    options = _Options(prog="%%ranks", add_help=False)
    options.add_argument("ranks", type=int)
    options.add_argument("--per-rank", default="0.25")
    options.add_argument("--hours", type=float)
    options.add_argument("--pool")
    options.add_argument("--name", default="a cell on ranks")
    return options
