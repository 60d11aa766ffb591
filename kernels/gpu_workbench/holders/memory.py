"""Whether the kernel killed for memory: a killed rank looks the same whoever killed it.

Reads this process's control group (version 2, then 1); says 0 where neither can be read.
"""

from __future__ import annotations

from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")


def oom_kills() -> int:
    """How many processes of our control group the kernel has killed for lack of memory so far."""
    for file in _files():
        try:
            for line in file.read_text().splitlines():
                name, _, value = line.partition(" ")
                if name == "oom_kill":
                    return int(value)
        except (OSError, ValueError):
            continue
    return 0


def _files() -> list[Path]:
    """Where the count may stand: our own group's file first."""
    found = []
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    for line in lines:
        number, controllers, path = line.split(":", 2)
        inside = path.lstrip("/")
        if number == "0":
            found.append(_ROOT / inside / "memory.events")
        elif "memory" in controllers.split(","):
            found.append(_ROOT / "memory" / inside / "memory.oom_control")
    return found
