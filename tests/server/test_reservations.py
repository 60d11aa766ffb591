"""Booking ahead through the real server: what it answers, and what the calendar shows."""

from __future__ import annotations

import time
from typing import Any

import pytest


async def test_a_reservation_is_booked_shown_taken_and_given_up(workbench: Any) -> None:
    now = time.time()
    new = {"what": "gpu", "count": 1, "seconds": 3600, "name": "the course", "key": "once"}
    code, booked = await workbench.call("POST", "reservations", new)
    assert (code, booked["state"], booked["mine"], booked["units"]) == (201, "booked", True, 1.0)
    assert booked["start"] == pytest.approx(now, abs=10)
    assert booked["end"] == pytest.approx(booked["start"] + 3600, abs=1)
    again = await workbench.call("POST", "reservations", new)
    assert again[1]["id"] == booked["id"], "the same key is the same reservation"

    code, request = await workbench.call("POST", "requests", {"what": "gpu", "seconds": 9000})
    lease = (await workbench.call("GET", f"leases/{request['id']}"))[1]
    assert lease["reservation"] == booked["id"]
    assert lease["ends_at"] == pytest.approx(booked["end"])
    (listed,) = (await workbench.call("GET", "reservations"))[1]["reservations"]
    assert (listed["id"], listed["held"], listed["lacks"]) == (booked["id"], 1, 0)

    code, gone = await workbench.call("DELETE", f"reservations/{booked['id']}")
    assert (code, gone["state"]) == (200, "cancelled")
    assert (await workbench.call("GET", "reservations"))[1]["reservations"] == []
    assert (await workbench.call("GET", f"leases/{request['id']}"))[1]["state"] == "active"
    code, problem = await workbench.call("DELETE", f"reservations/{booked['id']}")
    assert (code, problem["code"]) == (404, "not_found")


async def test_who_waits_because_of_it_is_told_so(workbench: Any) -> None:
    new = {"what": "gpu", "seconds": 3600, "user": "somebody", "start": None}
    _, booked = await workbench.call("POST", "reservations", new)
    code, request = await workbench.call("POST", "requests", {"what": "gpu"})
    assert (code, request["state"]) == (201, "queued")
    assert request["reason"]["code"] == "reserved"
    assert request["reason"]["reservation"] == booked["id"]
    assert request["expected_at"] == pytest.approx(booked["end"], abs=1)


async def test_the_calendar_has_reservations_and_expected_ends(workbench: Any) -> None:
    now = time.time()
    _, request = await workbench.call("POST", "requests", {"what": "0.25", "seconds": 600})
    body = {"what": "gpu", "start": now + 7200, "seconds": 3600, "group": "a, b; c"}
    _, booked = await workbench.call("POST", "reservations", body)
    code, calendar = await workbench.call("GET", "calendar")
    assert code == 200
    shown = [(one["kind"], one["id"], one["pool"]) for one in calendar["occasions"]]
    assert shown == [
        ("lease", request["id"], "default"),
        ("reservation", booked["id"], "default"),
    ]
    assert calendar["occasions"][0]["end"] == pytest.approx(now + 600, abs=10)
    later = (await workbench.call("GET", "calendar", **{"from": now + 3600, "to": now + 9999}))[1]
    assert [one["kind"] for one in later["occasions"]] == ["reservation"]

    answer = await workbench.raw("GET", "calendar.ics", **{"from": now + 3600})
    assert answer.headers["Content-Type"].startswith("text/calendar")
    lines = answer.body.decode().split("\r\n")
    assert lines[0] == "BEGIN:VCALENDAR"
    assert lines.count("BEGIN:VEVENT") == 1
    start = time.strftime("DTSTART:%Y%m%dT%H%M%SZ", time.gmtime(booked["start"]))
    assert start in lines
    assert "SUMMARY:1 × gpu reserved for a\\, b\\; c (default)" in lines


@pytest.mark.parametrize(
    ("body", "status", "code", "says"),
    [
        ({"what": "gpu", "count": 99, "seconds": 600}, 409, "never_fits", "it could give 1"),
        ({"what": "gpu", "seconds": -5}, 400, "bad_ask", "before the start"),
        ({"what": "gpu", "seconds": 1e12}, 409, "too_long", "longer than a reservation may be"),
        ({"what": "gpu", "start": 5.0, "seconds": 600}, 400, "bad_ask", "in the past"),
        ({"what": "gpu", "start": 1e300, "seconds": 6e2}, 400, "bad_ask", "before the start"),
        ({"what": "gpu"}, 400, "bad_ask", "needs its end or its length"),
        ({"what": "9g.90gb", "seconds": 600}, 409, "unknown_profile", "Nobody offers 9g.90gb"),
        ({"what": "gpu", "seconds": 600, "pool": "x"}, 404, "not_found", "no pool x"),
    ],
)
async def test_what_can_not_be_booked_is_refused_with_what_would_do(
    workbench: Any, body: dict[str, Any], status: int, code: str, says: str
) -> None:
    answered, problem = await workbench.call("POST", "reservations", body)
    assert (answered, problem["code"]) == (status, code)
    assert says in problem["message"]
    assert problem["hint"]
    assert (await workbench.call("GET", "reservations"))[1]["reservations"] == []


async def test_two_reservations_that_together_exceed_the_pool_are_refused(workbench: Any) -> None:
    body = {"what": "gpu", "seconds": 3600}
    await workbench.call("POST", "reservations", body)
    code, problem = await workbench.call("POST", "reservations", body)
    assert (code, problem["code"]) == (409, "reserved")
    assert "Nothing is left of that then. It is free in" in problem["hint"]
