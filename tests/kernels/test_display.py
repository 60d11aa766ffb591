"""Words for times and sizes, and HTML that is safe and stands by itself."""

from __future__ import annotations

from gpu_workbench import display
from gpu_workbench import protocol as wire
from gpu_workbench.waiting import waiting_html, waiting_text

REQUEST = wire.Request(
    id=9,
    state="queued",
    user="ada",
    mine=True,
    what="10GB",
    profile="mig-1g.10gb",
    pool="default",
    count=2,
    seconds=3600,
    same_node=False,
    priority=0,
    purpose="cell",
    name="<script>",
    units=0.28,
    created_at=0.0,
    position=2,
    reason=wire.Reason(code="slices_taken", sentence="waits for lease 81 of <b>ada</b>."),
)


def test_times_are_words_and_never_bare_timestamps() -> None:
    assert display.duration(6130) == "1:42:10"
    assert display.duration(61) == "1:01"
    assert display.left(100.0, now=40.0) == "1:00 left"
    assert display.left(100.0, now=140.0) == "over"
    assert display.expected(None) == ""
    assert display.expected(720.0, now=0.0).startswith("in about 12 min (at ")
    assert display.expected(10.0, now=0.0).startswith("in less than a minute")


def test_gpu_time_is_told_in_the_unit_that_fits() -> None:
    assert display.gpu_time(4.23) == "4.2 GPU-seconds"
    assert display.gpu_time(32) == "32 GPU-seconds"
    assert display.gpu_time(720) == "12 GPU-minutes"
    assert display.gpu_time(11_520) == "3.2 GPU-hours"


def test_sizes_and_profiles_read_as_on_the_label() -> None:
    assert display.gigabytes(20 * (1 << 30)) == "20 GB"
    assert display.gigabytes(9.5 * (1 << 30)) == "9.5 GB"
    assert display.short("mig-1g.10gb") == "1g.10gb"
    assert display.short("fraction-0.25") == "1/4 GPU"
    assert display.short("whole") == "whole GPU"


def test_a_wait_says_place_and_reason() -> None:
    assert waiting_text(REQUEST) == (
        "waiting for 2 × 1g.10gb · position 2\n  waits for lease 81 of <b>ada</b>."
    )


def test_what_people_named_is_escaped() -> None:
    html = waiting_html(REQUEST)
    assert "&lt;b&gt;ada&lt;/b&gt;" in html and "<b>ada" not in html
    assert "<script" not in display.row("mine", "<script>", "<script>", note="<script>")
    assert "<script" not in display.bar([(1.0, "mine", '"><script>')])


def test_every_colour_has_a_fallback_for_a_page_without_jupyterlab() -> None:
    html = display.row("bad", "x")
    assert html.count("var(--jp-") == html.count(", #")
