"""The code as it was when a job started: small text files beside the script, in one archive.

A record of what ran, so that it can be compared later; the job itself runs in its own directory of
work, as under any launcher. Bounded in files, bytes and in how far it looks. Knows no servers.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from pathlib import Path

CODE = "code.zip"

MOST_FILES = 500
MOST_BYTES = 8 << 20
LARGEST = 512 << 10
"""Of one file: what is larger is data."""
MOST_ENTRIES = 5000

_KINDS = (".py", ".ipynb", ".sh", ".yaml", ".yml", ".toml", ".json", ".cfg", ".ini", ".txt")
_NOT_CODE = {"__pycache__", "node_modules", "site-packages"}


def keep_code(root: Path, directory: Path) -> None:
    """Write `directory/code.zip`. Raises `OSError`, and leaves nothing half written then."""
    part = directory / f".{CODE}"
    left = MOST_BYTES
    with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, file in enumerate(_sources(root)):
            data = file.read_bytes()
            left -= len(data)
            if number >= MOST_FILES or left < 0:
                break
            archive.writestr(str(file.relative_to(root)), data)
    part.chmod(0o600)
    os.replace(part, directory / CODE)


def _sources(root: Path) -> Iterator[Path]:
    """Files that look like code, those nearest to the root first."""
    seen, folders = 0, [root]
    while folders:
        folder = folders.pop(0)
        try:
            entries = sorted(os.scandir(folder), key=lambda one: one.name)
        except OSError:
            continue
        seen += len(entries)
        if any(one.name == "pyvenv.cfg" for one in entries):
            continue  # an environment, not the user's own
        for entry in entries:
            if entry.name.startswith(".") or entry.is_symlink():
                continue
            if entry.is_dir():
                if entry.name not in _NOT_CODE and seen < MOST_ENTRIES:
                    folders.append(Path(entry.path))
            elif entry.name.endswith(_KINDS) and 0 < entry.stat().st_size <= LARGEST:
                yield Path(entry.path)
