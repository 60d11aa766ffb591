"""The hint: far too big, far too small, or right; and what is unknown decides nothing."""

from __future__ import annotations

from typing import Any

import pytest

from gpu_workbench import protocol as wire
from gpu_workbench.sizing import Hint, right_size

GB = 1 << 30
NOW = 1_000_000.0


def card(profile: str, memory: float, units: float, when: str = "now", **more: Any) -> wire.Card:
    kind: Any = profile.split("-")[0]
    return wire.Card(
        profile=profile,
        pool="default",
        label=profile,
        kind=kind,
        memory_gb=memory,
        units=units,
        tier="mig",
        when=when,  # type: ignore[arg-type]
        **more,
    )


def held(profile: str, memory: float, units: float) -> wire.Slice:
    return wire.Slice(
        id="s",
        gpu="GPU-1",
        kind="whole",
        profile=profile,
        memory_bytes=int(memory * GB),
        units=units,
        visible_device="GPU-1",
        tier="watchdog",
    )


WHOLE = held("whole", 80, 1.0)
SMALL = held("mig-1g.10gb", 10, 1 / 7)
CARDS = [
    card("mig-1g.10gb", 10, 1 / 7),
    card("mig-2g.20gb", 20, 2 / 7, "queued", expected_at=NOW + 720),
    card("mig-3g.40gb", 40, 3 / 7, "over_limit"),
    card("whole", 80, 1.0),
]


@pytest.mark.parametrize(
    ("slice_", "peak", "sm", "said"),
    [
        (WHOLE, 6.1, 0.05, "peak 6.1 GB of 80 GB: a 1g.10gb slice would do, and start now"),
        (WHOLE, 6.1, None, "peak 6.1 GB of 80 GB: by its memory a 1g.10gb slice would do, and s"),
        (WHOLE, 8.0, 0.05, "a 1g.10gb slice would do"),  # just the room that is wanted
        (WHOLE, 8.1, 0.05, "a 2g.20gb slice would do, and start in about 12 min"),
        (WHOLE, 6.1, 0.25, "a 2g.20gb slice would do"),  # by memory less, by its SMs more
        (WHOLE, 6.1, 0.60, None),  # it uses the SMs
        (WHOLE, 17.0, 0.05, None),  # the next is over the limit, the one after is no less
        (WHOLE, None, 0.05, None),  # unknown is not small
        (WHOLE, 0.0, 0.0, "a 1g.10gb slice would do"),
        (SMALL, 1.0, 0.05, None),  # there is nothing smaller
        (SMALL, 9.4, 0.05, None),
        (SMALL, 9.5, 0.9, "peak 9.5 GB of 10 GB: nearly full; a 2g.20gb slice has room and could"),
        (held("mig-2g.20gb", 20, 2 / 7), 20.0, 1.0, "a whole GPU has room and could start now"),
        (WHOLE, 79.0, 0.2, "peak 79 GB of 80 GB: nearly full, and no larger slice is on offer"),
    ],
)
def test_what_is_said_of_a_slice(
    slice_: wire.Slice, peak: float | None, sm: float | None, said: str | None
) -> None:
    bytes_ = None if peak is None else int(peak * GB)
    hint = right_size(slice_, bytes_, sm, CARDS, NOW)
    if said is None:
        assert hint is None
    else:
        assert hint is not None
        assert said in hint.sentence


def test_the_hint_names_the_profile_to_ask_for() -> None:
    assert right_size(WHOLE, GB, 0.01, CARDS, NOW) == Hint(
        "too_big", "peak 1 GB of 80 GB: a 1g.10gb slice would do, and start now", "mig-1g.10gb"
    )


def test_where_nobody_can_say_when_it_does_not_promise() -> None:
    later = [card("mig-1g.10gb", 10, 1 / 7, "queued")]
    hint = right_size(WHOLE, GB, 0.01, later, NOW)
    assert hint is not None
    assert hint.sentence.endswith("a 1g.10gb slice would do")
