"""Booking ahead from a notebook."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

import gpu_workbench as gw
from tests.support.lab import LabServer


def test_slices_are_booked_listed_and_given_up(here: LabServer) -> None:
    start = datetime.now().replace(microsecond=0) + timedelta(hours=2)
    booked = gw.reserve("0.25", count=2, start=start.isoformat(" "), hours=1.5, name="course")
    try:
        assert booked.reservation.start == start.timestamp()
        assert booked.reservation.end == start.timestamp() + 5400
        assert f"Reservation {booked.id}: 2 × 1/4 GPU in pool default" in repr(booked)
        (listed,) = gw.reservations()
        assert listed.id == booked.id
        assert repr(listed) in repr(gw.reservations())
    finally:
        booked.cancel()
    assert repr(gw.reservations()) == "Nothing is reserved."


def test_what_is_no_time_is_said_before_anything_is_sent(here: LabServer) -> None:
    with pytest.raises(gw.GpuWorkbenchError, match="start is 'noon': that is no time"):
        gw.reserve("gpu", start="noon", hours=1)


def test_a_refusal_has_the_servers_words(here: LabServer) -> None:
    with pytest.raises(gw.GpuWorkbenchError) as caught:
        gw.reserve("gpu", count=50, start=timedelta(hours=1), end=timedelta(hours=2))
    assert caught.value.code == "never_fits"
    assert "at most" in caught.value.hint
