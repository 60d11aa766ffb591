"""Units: parts of a GPU as integers, memory as bytes, and how people write both.

A GPU is `PARTS` parts, a number that sevenths (MIG compute slices), quarters (A30) and thousandths
all divide, so that shares add up exactly. People and the wire see GPU units: parts / PARTS.
"""

from __future__ import annotations

import re

from ..errors import BadAsk

PARTS = 42_000
GIB = 1 << 30

_MEMORY = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*(GI?B?|MI?B?|TI?B?)\s*$", re.IGNORECASE)
_GB_PER = {"m": 1 / 1000, "g": 1.0, "t": 1000.0}


def parts_of_share(share: float) -> int:
    """Parts of a share of one GPU (0 < share <= 1), to the nearest thousandth."""
    return round(share * 1000) * (PARTS // 1000)


def gpu_units(parts: int) -> float:
    """GPU units of a number of parts; one whole GPU is 1.0."""
    return round(parts / PARTS, 4)


def parse_memory_gb(text: str) -> float | None:
    """GB, as on a GPU's label, of "20GB", "20 G" or "512MB"; None where it is not a memory."""
    found = _MEMORY.match(text)
    if not found:
        return None
    amount = float(found[1]) * _GB_PER[found[2][0].lower()]
    if amount <= 0:
        raise BadAsk("A memory of 0 GB can't be asked for.", 'Ask for example for "20GB".')
    return amount


def show_gb(gb: float) -> str:
    """ "80 GB", "9.5 GB"."""
    return f"{gb:g} GB"


def show_units(parts: int) -> str:
    """GPU units for people: "1", "0.25", "0.29"."""
    return f"{parts / PARTS:.2f}".rstrip("0").rstrip(".")


def span_of(seconds: float) -> str:
    """A duration for people: "45 s", "30 min", "2.5 h", "3 d"."""
    for size, word in ((86400.0, "d"), (3600.0, "h"), (60.0, "min")):
        if seconds >= size * (2 if word == "d" else 1):
            return f"{seconds / size:.1f}".removesuffix(".0") + f" {word}"
    return f"{seconds:.0f} s"
