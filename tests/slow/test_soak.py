"""A dashboard that stays open does not eat the server's memory: some hours in a minute."""

from __future__ import annotations

import pytest

from benchmarks.soak import FLAT_MB, grown, run


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_memory_stays_flat_while_windows_watch_and_leases_come_and_go() -> None:
    found = run(hours=5.0, faster=300.0)
    assert min(found["ticks"]) > 50, "both windows were told all the time"
    assert grown(found["points"]) < FLAT_MB
