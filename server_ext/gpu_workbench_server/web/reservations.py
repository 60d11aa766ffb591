"""Slices booked ahead, and the calendar: as JSON, and as iCalendar to subscribe to."""

from __future__ import annotations

import time
from typing import Annotated

from msgspec import Meta, Struct, field

from gpu_workbench import protocol as wire

from .call import Call

ICALENDAR = "text/calendar; charset=utf-8"
_Moment = Annotated[float, Meta(description="Seconds since the epoch.")]


class CalendarQuery(Struct, frozen=True):
    since: _Moment | None = field(default=None, name="from")
    until: _Moment | None = field(default=None, name="to")


async def listing(call: Call[None, None]) -> wire.Reservations:
    found = await call.workbench.on_broker(call.services.broker.reservations, call.who)
    return wire.Reservations(reservations=found)


async def book(call: Call[wire.NewReservation, None]) -> wire.Reservation:
    return await call.workbench.on_broker(call.services.broker.book, call.who, call.body)


async def cancel(call: Call[None, None]) -> wire.Reservation:
    return await call.workbench.on_broker(call.services.broker.unbook, call.who, call.number)


async def calendar(call: Call[None, CalendarQuery]) -> wire.Calendar:
    query, broker = call.query, call.services.broker
    found = await call.workbench.on_broker(broker.calendar, call.who, query.since, query.until)
    return wire.Calendar(occasions=found)


async def icalendar(call: Call[None, CalendarQuery]) -> str:
    shown = await calendar(call)
    head = ("BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//GPU Workbench//EN")
    lines = [*head, *(line for one in shown.occasions for line in _event(one)), "END:VCALENDAR"]
    return "".join(f"{line}\r\n" for line in lines)


def _event(one: wire.Occasion) -> tuple[str, ...]:
    """One entry of an iCalendar (RFC 5545), in UTC."""
    return (
        "BEGIN:VEVENT",
        f"UID:{one.kind}-{one.id}@gpu-workbench",
        f"DTSTAMP:{_utc(one.start)}",
        f"DTSTART:{_utc(one.start)}",
        f"DTEND:{_utc(one.end)}",
        f"SUMMARY:{_escaped(f'{one.title} ({one.pool})'[:60])}",
        "END:VEVENT",
    )


def _utc(moment: float) -> str:
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(moment))


def _escaped(text: str) -> str:
    for mark in ("\\", ";", ","):
        text = text.replace(mark, f"\\{mark}")
    return " ".join(text.split())
