"""What somebody wants to run, as a job's spec: the one place that reads functions and lines."""

from __future__ import annotations

import base64
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from . import protocol as wire
from .commands import read_command
from .shipping import function_name, pack

What = Callable[..., Any] | str | os.PathLike[str]


def job_spec(
    what: What,
    script_args: Sequence[str] = (),
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    ranks: int,
    per_rank: str,
    hours: float | None = None,
    **fields: Any,
) -> wire.JobSpec:
    """Of a function with `args` and `kwargs`, or of a script or a line with `script_args`.

    `fields` are those of `JobSpec`. Raises `TypeError` for arguments of the wrong kind,
    `ValueError` for a line that can't be read, and `shipping.pack`'s for what can't be sent.
    """
    common: dict[str, Any] = {
        "ranks": ranks,
        "per_rank": per_rank,
        "seconds": None if hours is None else round(hours * 3600),
        "cwd": os.getcwd(),
        "python": sys.executable,
        **fields,
    }
    if callable(what):
        if script_args:
            raise TypeError("launch: a function takes its arguments as args=(…), kwargs={…}")
        function = base64.b64encode(pack(what, args, kwargs or {})).decode()
        return wire.JobSpec(function_b64=function, function_name=function_name(what), **common)
    if args or kwargs:
        raise TypeError("launch: a script takes its arguments after it: launch('a.py', '-x')")
    try:
        command = read_command(os.fspath(what), [str(one) for one in script_args])
    except ValueError as error:
        raise ValueError(f"launch: {error}") from None
    return wire.JobSpec(
        script=command.script,
        args=command.args,
        launcher=command.launcher,
        launcher_args=command.flags,
        **common,
    )
