"""The code that a job's supervisor kept at its start. The archive is not trusted: it is bounded."""

from __future__ import annotations

import zipfile
from pathlib import Path

from gpu_workbench import protocol as wire

MOST_BYTES = 16 << 20
MOST_FILES = 1000


def read_code(archive: Path) -> wire.Code:
    """Its text files; empty where nothing was kept, or nothing is kept any more."""
    files: list[wire.CodeFile] = []
    left = MOST_BYTES
    try:
        if archive.is_symlink():
            return wire.Code(files=[])
        with zipfile.ZipFile(archive) as kept:
            for one in kept.infolist()[:MOST_FILES]:
                left -= one.file_size  # more than that is never read of it
                if left < 0:
                    break
                text = kept.read(one).decode(errors="replace")
                files.append(wire.CodeFile(path=one.filename, text=text))
    except (OSError, ValueError, RuntimeError, zipfile.BadZipFile):
        return wire.Code(files=files)
    return wire.Code(files=files)
