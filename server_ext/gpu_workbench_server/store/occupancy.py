"""How much of each device a lease occupies: the last guard against granting anything twice.

Shared by both stores. A device is a GPU or a MIG instance, by UUID; it has `PARTS` parts. A slice
takes its parts of its GPU, and a MIG slice takes the whole of its instance besides, so one rule
("never more than PARTS of a device") covers whole GPUs, fractions and instances alike.
"""

from __future__ import annotations

from collections import Counter

from ..domain.leases import Lease
from ..domain.units import PARTS


def occupied_by(lease: Lease | None) -> Counter[str]:
    """Parts that a lease takes, per device; nothing once it is cleared."""
    taken: Counter[str] = Counter()
    if lease is None or lease.cleared:
        return taken
    for one in lease.slices:
        taken[one.gpu] += PARTS if one.kind == "whole" else one.parts
        if one.instance is not None:
            taken[one.instance] += PARTS
    return taken


def moved_parts(old: Lease | None, new: Lease) -> dict[str, int]:
    """By how much each device's occupied parts change when `new` replaces `old`, never by 0."""
    difference = occupied_by(new)
    difference.subtract(occupied_by(old))
    return {device: parts for device, parts in difference.items() if parts}
