"""Where a holder's Unix sockets lie: in its directory, if their paths are short enough there."""

from __future__ import annotations

import contextlib
import os
import tempfile
from multiprocessing import process
from pathlib import Path
from typing import Any

_LONGEST_PATH = 85
"""Bytes, of a directory of sockets; a socket's path may have 107, on macOS 103."""


def socket_directory(directory: Path) -> Path:
    """`directory`; where its path is too long, one of its own."""
    if len(os.fsencode(directory)) <= _LONGEST_PATH:
        return directory
    return Path(tempfile.mkdtemp(prefix="gpu-workbench-"))


def use_for_multiprocessing(place: Path) -> None:
    """Or it makes a directory of its own, which stays where this process is killed."""
    here: Any = process.current_process()  # it has no types
    here._config["tempdir"] = str(place)


def remove_sockets(place: Path, directory: Path) -> None:
    """What `socket_directory` gave for `directory`, and the sockets in it."""
    with contextlib.suppress(OSError):
        for one in place.iterdir():
            if one.is_socket():
                one.unlink()
        if place != directory:
            place.rmdir()
