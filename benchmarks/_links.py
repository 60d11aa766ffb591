"""Ranks on links of their own: a network namespace each, joined by a bridge, at a given rate.

Needs root and iproute2. All of it is gone when it is left, or when the machine restarts.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator

LINK = "link0"
_BURST = "64kb"
"""What may go at once: small, or short messages would not feel the rate."""


@contextlib.contextmanager
def links(count: int, megabits: int) -> Iterator[list[str]]:
    """Names of `count` namespaces, in /run/netns, each with `LINK` of so many Mbit/s, both ways."""
    tag = f"gw{os.getpid() % 100000}"
    spaces, bridge = [f"{tag}n{number}" for number in range(count)], f"{tag}b"
    hub = f"{tag}hub"  # the bridge has a namespace, too: this machine's own firewall is no part
    try:
        _ip("netns", "add", hub)
        _ip("-n", hub, "link", "add", bridge, "type", "bridge")
        _ip("-n", hub, "link", "set", bridge, "up")
        for number, space in enumerate(spaces):
            port = f"{tag}p{number}"
            _ip("netns", "add", space)
            _ip("-n", space, "link", "set", "lo", "up")
            pair = ("link", "add", LINK, "netns", space, "type", "veth", "peer", "name", port)
            _ip(*pair, "netns", hub)
            _ip("-n", space, "address", "add", f"10.77.0.{number + 1}/24", "dev", LINK)
            _ip("-n", space, "link", "set", LINK, "up")
            _ip("-n", hub, "link", "set", port, "master", bridge, "up")
            # One end limits what the rank sends, the other what it receives.
            for where, name in ((space, LINK), (hub, port)):
                rate = ("rate", f"{megabits}mbit", "burst", _BURST, "latency", "400ms")
                _run("tc", "-n", where, "qdisc", "add", "dev", name, "root", "tbf", *rate)
        yield spaces
    finally:
        for space in (*spaces, hub):
            subprocess.run(["ip", "netns", "delete", space], capture_output=True)


def _ip(*words: str) -> None:
    _run("ip", *words)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.stderr.strip()} (needs root and iproute2)")
