"""The sockets of a holder that was killed, where they lie outside its directory.

The layout is the holder's (`gpu_workbench.holders.sockets`).
"""

from __future__ import annotations

import contextlib
import stat
from pathlib import Path


def remove_sockets(path: str) -> None:
    """The directory of this socket, where it was made for sockets only. A holder said so in its
    status, which its user may write, too: it chooses nothing else that we remove."""
    place = Path(path).parent
    if place.name.startswith("gpu-workbench-"):
        with contextlib.suppress(OSError):
            for one in place.iterdir():
                if stat.S_ISSOCK(one.lstat().st_mode):
                    one.unlink()
            place.rmdir()
