"""The files of a holder's directory: JSON that is whole or absent, never half.

Both sides of a holder's directory use this, so it knows neither: standard library only. A reader
may come at any moment, also while the writer is being killed; hence write-then-rename for state and
one `write` per line for logs of events. Files are readable by their owner only: a directory may
name addresses, paths and arguments of somebody's work.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SPEC = "spec.json"
"""What the holder is; written once, before it is started."""
TARGET = "target.json"
"""What is wanted of it; the server's side writes, the holder follows."""
NOTICE = "notice.json"
"""When a job's slices are taken back, once that is soon; the server's side writes."""
STATUS = "status.json"
"""What it is at the moment; the holder writes."""


def write_json(path: Path, obj: Mapping[str, Any]) -> None:
    """Replace `path` by `obj` at once (mode 0600); `OSError` leaves the old one whole."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(obj, file, separators=(",", ":"))
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise


def read_json(path: Path) -> dict[str, Any] | None:
    """The object in `path`, or None where there is none (or it isn't an object of ours)."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def append_json_line(path: Path, obj: Mapping[str, Any]) -> None:
    """Add `obj` as one line (mode 0600), in one write: lines of several writers do not mix."""
    line = json.dumps(obj, separators=(",", ":")).encode() + b"\n"
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.write(handle, line)
    finally:
        os.close(handle)


def tail(path: Path, lines: int = 5, limit: int = 4096) -> str:
    """The last `lines` non-empty lines of the last `limit` bytes; empty without a file."""
    try:
        with path.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - limit))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    return "\n".join([line for line in text.splitlines() if line.strip()][-lines:])
