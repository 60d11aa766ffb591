"""Files that are there whole or not at all, whenever somebody reads them or a write is cut off."""

from __future__ import annotations

import os
from pathlib import Path


def write_whole(path: Path, data: bytes, *, synced: bool = False) -> None:
    """Write the file anew, for its owner only: a spec may name secrets. With `synced` it is on disk
    when this returns. `OSError` where it can't be written; then what was there stays."""
    half = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        if synced:
            file.flush()
            os.fsync(file.fileno())
    os.replace(half, path)
