"""Finding the user's own server: a connection file that the server wrote, and nothing to configure.

Order: the file that `GPU_WORKBENCH_CONNECTION` names, then the newest file in Jupyter's runtime
directory that belongs to this user and whose server lives. Knows files, not HTTP.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from . import protocol as wire

PATTERN = "gpu-workbench-*.json"


def candidates() -> list[wire.ConnectionFile]:
    """Servers to try, best first, each once."""
    found: list[wire.ConnectionFile] = []
    named = os.environ.get(wire.CONNECTION_ENV)
    if named:
        # Not checked for life: its pid may be of another namespace (a container's).
        found.extend(_read(Path(named), check=False))
    for path in _newest_first(runtime_dir()):
        found.extend(one for one in _read(path, check=True) if one not in found)
    return found


def runtime_dir() -> Path:
    """Jupyter's runtime directory of this user."""
    from jupyter_core.paths import jupyter_runtime_dir

    return Path(jupyter_runtime_dir())


def _newest_first(folder: Path) -> list[Path]:
    stamped: list[tuple[float, Path]] = []
    for path in folder.glob(PATTERN):
        try:
            stamped.append((path.stat().st_mtime, path))
        except OSError:
            continue  # its server ended while we looked
    return [path for _, path in sorted(stamped, reverse=True)]


def _read(path: Path, *, check: bool) -> list[wire.ConnectionFile]:
    """The file's content, or nothing where it is not there, not ours, or its server is gone."""
    try:
        if path.stat().st_uid != os.getuid():
            return []
        connection = msgspec.json.decode(path.read_bytes(), type=wire.ConnectionFile)
    except (OSError, msgspec.MsgspecError):
        return []
    return [connection] if not check or _alive(connection.pid) else []


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return False  # the number was given to somebody else's process
    return True
