"""Which slices a cluster asks for and which it gives back."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gpu_workbench_server.domain.seats import Seat, SeatFacts, SeatPlan, plan_seats

NOW = 100.0
HELD = SeatFacts("granted", occupied=True)
EMPTY = SeatFacts("granted")
QUEUED = SeatFacts("queued", waits_for="position 1")


def plan(wanted: int, *seen: tuple[Seat, SeatFacts]) -> SeatPlan:
    facts = {seat.request_id: one for seat, one in seen}
    return plan_seats(tuple(seat for seat, _ in seen), facts, wanted, NOW)


def leaving(number: int, since: float = NOW - 1, leased: bool = True) -> Seat:
    return Seat(number, leased, since)


def test_what_is_missing_is_asked_for() -> None:
    assert plan(3, (Seat(1, True), HELD)).ask == 2
    assert plan(3, (Seat(1, True), HELD), (Seat(2), QUEUED), (Seat(3), QUEUED)).ask == 0


def test_a_request_that_was_granted_is_a_lease_to_give_back() -> None:
    assert plan(1, (Seat(1), EMPTY)).seats == (Seat(1, leased=True),)


def test_it_says_what_the_first_of_the_waiting_waits_for() -> None:
    assert plan(2, (Seat(1, True), HELD), (Seat(2), QUEUED)).waits_for == "position 1"
    assert plan(1, (Seat(1, True), HELD)).waits_for == ""


def test_too_many_are_taken_from_those_that_wait_newest_first() -> None:
    found = plan(2, (Seat(1, True), HELD), (Seat(2), QUEUED), (Seat(3), QUEUED))
    assert (found.cancel, found.release) == ((3,), ())


def test_then_from_those_whose_worker_has_the_least_to_do_and_to_move() -> None:
    def loaded(*load: int) -> SeatFacts:
        return SeatFacts("granted", load=load, occupied=True)  # type: ignore[arg-type]

    busy, full, idle = loaded(3, 10), loaded(0, 900), loaded(0, 20)
    seats = ((Seat(1, True), busy), (Seat(2, True), full), (Seat(3, True), idle))
    found = plan(2, *seats)
    assert [one.request_id for one in found.seats if one.leaving_since == NOW] == [3]
    assert found.release == (), "its worker moves its data first"


def test_a_slice_is_given_back_once_its_worker_has_left_it() -> None:
    assert plan(1, (Seat(1, True), HELD), (leaving(2), HELD)).release == ()
    assert plan(1, (Seat(1, True), HELD), (leaving(2), EMPTY)).release == (2,)


def test_or_after_a_time_all_the_same() -> None:
    assert plan(1, (Seat(1, True), HELD), (leaving(2, NOW - 31), HELD)).release == (2,)


def test_a_seat_stays_until_it_is_seen_to_be_over_so_that_a_kill_loses_none() -> None:
    found = plan(0, (leaving(1), EMPTY), (leaving(2, leased=False), QUEUED))
    assert (found.release, found.cancel) == ((1,), (2,)) and len(found.seats) == 2
    gone = (leaving(1), SeatFacts("granted", ended="released"))
    cancelled = (leaving(2, leased=False), SeatFacts("cancelled"))
    after = plan(0, gone, cancelled)
    assert after == SeatPlan((), 0), "and that is no loss to speak of"


def test_one_that_was_granted_while_it_was_taken_back_is_given_back() -> None:
    assert plan(0, (leaving(1, leased=False), EMPTY)).release == (1,)


def test_a_lease_that_ends_by_itself_is_not_asked_for_again() -> None:
    found = plan(2, (Seat(1, True), HELD), (Seat(2, True), SeatFacts("granted", ended="expired")))
    assert (found.wanted, found.ask, found.over) == (1, 0, ("expired",))
    assert found.seats == (Seat(1, True),)


def test_nor_is_a_request_that_was_denied_or_cancelled() -> None:
    found = plan(2, (Seat(1, True), HELD), (Seat(2), SeatFacts("denied", waits_for="too much")))
    assert (found.wanted, found.ask, found.refused) == (1, 0, "too much")


FACTS = st.builds(
    SeatFacts,
    st.sampled_from(["queued", "granted", "denied", "cancelled", "expired"]),
    ended=st.none(),
    occupied=st.booleans(),
) | st.builds(SeatFacts, st.just("granted"), ended=st.sampled_from(["expired", "lost", "released"]))


@given(
    st.lists(st.tuples(st.booleans(), st.none() | st.just(NOW - 5), FACTS), max_size=6),
    st.integers(0, 6),
)
def test_it_never_keeps_more_than_are_wanted_and_asks_for_what_is_missing(
    drawn: list[tuple[Any, Any, SeatFacts]], wanted: int
) -> None:
    seats = [(Seat(n, leased, since), seen) for n, (leased, since, seen) in enumerate(drawn)]
    found = plan(wanted, *seats)
    staying = [one for one in found.seats if one.leaving_since is None]
    assert len(staying) + found.ask == found.wanted <= wanted
    given_back = {one.request_id for one in found.seats if one.leaving_since is not None}
    assert {*found.cancel, *found.release} <= given_back
