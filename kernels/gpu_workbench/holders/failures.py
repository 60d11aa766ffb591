"""An exception as facts: what was raised, where in the user's code, the trace without our frames.

Pure; used by ranks for `error.json`.
"""

from __future__ import annotations

import os
import sys
import time
import traceback
from types import TracebackType
from typing import Any

_OURS = os.path.dirname(os.path.abspath(__file__))


def error_record(error: BaseException, root: str) -> dict[str, Any]:
    """The exception's type, message, place ("train.py:12"), trace, time, and missing module if any.

    `root` is the directory of the user's code: the innermost line there is the place to look at,
    not the line deep inside a library that it led to.
    """
    trace = _without_ours(error.__traceback__)
    frames = traceback.extract_tb(trace)
    return {
        "type": type(error).__name__,
        "message": str(error),
        "where": _place(error, frames, root),
        "traceback": "".join(traceback.format_exception(type(error), error, trace)),
        "module": error.name if isinstance(error, ModuleNotFoundError) else None,
        "time": time.time(),
    }


def _without_ours(trace: TracebackType | None) -> TracebackType | None:
    start = trace
    while start is not None and start.tb_frame.f_code.co_filename.startswith(_OURS):
        start = start.tb_next
    return start if start is not None else trace


def _place(error: BaseException, frames: traceback.StackSummary, root: str) -> str | None:
    if isinstance(error, SyntaxError) and error.filename:
        return f"{os.path.basename(error.filename)}:{error.lineno}"
    for frame in reversed(frames):
        place = place_of(frame.filename, frame.lineno, frame.name, root)
        if place is not None:
            return place
    if not frames:
        return None
    return f"{os.path.basename(frames[-1].filename)}:{frames[-1].lineno}"


def place_of(path: str, line: int | None, function: str, root: str) -> str | None:
    """A frame for people, "train.py:12"; None where it is not the user's own code under `root`."""
    if path.startswith(os.path.join(root, "")) and not _installed(path):
        return f"{os.path.relpath(path, root)}:{line}"
    if "ipykernel_" in path or path.startswith("<ipython"):
        return f"line {line} of the cell, in {function}"
    return None


def _installed(path: str) -> bool:
    return "site-packages" in path or path.startswith(os.path.join(sys.prefix, "lib"))
