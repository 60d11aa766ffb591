"""A rank's log as it is read: in pieces, cut where it grew too long, and by what is looked for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from gpu_workbench.holders import logs
from gpu_workbench.holders.logs import Logs
from gpu_workbench_server.services.job_logs import RankLog
from tests.support.waiting import wait_for

KB = 1 << 10
LIMIT = 1 << 20


@pytest.fixture
def run(tmp_path: Path) -> Path:
    run = tmp_path / "attempt-0" / "rank-0"
    run.mkdir(parents=True)
    return run


def whole(run: Path) -> str:
    log, text, offset = RankLog(run, "out"), "", 0
    while True:
        piece = log.read(offset)
        text += piece.text
        if piece.at_end:
            return text
        assert piece.following > offset
        offset = piece.following


def on_disk(path: Path) -> int:
    return path.stat().st_blocks * 512


def write_lines(run: Path, count: int) -> None:
    with (run / "out.log").open("a") as file:
        file.writelines(f"line {number:08}\n" for number in range(count))


def bounded(run: Path) -> Logs:
    one = Logs(limit=LIMIT, head=64 * KB, slack=64 * KB)
    one.bound([run])
    return one


def test_a_long_log_keeps_its_beginning_and_its_end_and_says_what_was_cut(run: Path) -> None:
    write_lines(run, 1_000_000)
    size = (run / "out.log").stat().st_size
    bounded(run)
    assert (run / "out.log").stat().st_size == size, "offsets stay"
    assert on_disk(run / "out.log") <= LIMIT + 8 * KB
    lines = whole(run).splitlines()
    assert (lines[0], lines[-1]) == ("line 00000000", "line 00999999")
    assert [line for line in lines if "cut out" in line] == [
        "… 13 MB of this log was cut out here: its beginning and its end are kept …"
    ]
    assert "\0" not in whole(run)


def test_a_log_that_goes_on_growing_is_cut_again(run: Path) -> None:
    write_lines(run, 100_000)
    keeper = bounded(run)
    for _ in range(5):
        write_lines(run, 50_000)
        keeper.bound([run])
        assert on_disk(run / "out.log") <= LIMIT + 72 * KB
    assert whole(run).endswith("line 00049999\n")


def test_a_short_log_is_left_alone(run: Path) -> None:
    write_lines(run, 1000)
    before = (run / "out.log").read_bytes()
    bounded(run)
    assert (run / "out.log").read_bytes() == before
    assert not (run / "out.log.cut").exists()


def test_where_there_are_no_holes_a_long_log_is_cut_to_its_beginning(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "punch", lambda *_: False)
    write_lines(run, 1_000_000)
    bounded(run)
    write_lines(run, 3)
    assert (run / "out.log").stat().st_size < LIMIT
    lines = whole(run).splitlines()
    assert lines[0] == "line 00000000"
    assert lines[-4:] == [
        "… something of this log was cut out here: its beginning and its end are kept …",
        *(f"line {number:08}" for number in range(3)),
    ]


def test_a_rank_that_writes_a_gigabyte_quickly_leaves_little(run: Path) -> None:
    """Its own process, as a rank writes: appending, without a pause."""
    script = "import os\nfor _ in range(1000): os.write(1, (b'x' * 99 + b'\\n') * 10_000)"
    keeper, most, log = Logs(), 0, run / "out.log"
    with log.open("ab") as out:
        writer = subprocess.Popen([sys.executable, "-c", script], stdout=out)

    def done() -> bool:
        nonlocal most
        over, before = writer.poll() is not None, log.stat().st_size
        keeper.bound([run])
        kept, meanwhile = on_disk(log), log.stat().st_size - before
        most = max(most, kept - meanwhile)
        return over

    wait_for(done, 100, "a gigabyte is written")
    assert log.stat().st_size == 1_000_000_000
    assert on_disk(log) <= 73 << 20
    assert most <= 73 << 20, "also while it writes: of what was there when it was looked at"
    assert whole(run).count("cut out") == 1


def test_a_search_finds_lines_in_both_ends_whatever_their_case(run: Path) -> None:
    write_lines(run, 1_000_000)
    with (run / "out.log").open("a") as file:
        file.write("Loss is NaN at step 7\n")
    bounded(run)
    log = RankLog(run, "out")
    (found,) = log.search("loss IS nan")
    assert found.text == "Loss is NaN at step 7"
    assert log.read(found.offset).text.startswith("Loss is NaN")
    assert [one.text for one in log.search("line 00000001")] == ["line 00000001"]
    assert list(log.search("line 00500000")) == [], "that one was cut out"


def test_a_search_sees_a_line_that_two_pieces_share(run: Path) -> None:
    filler = "x" * 1023 + "\n"
    (run / "out.log").write_text(filler * 1023 + "y" * 1000 + "\nwanted Ü here\n" + filler * 10)
    assert [one.text for one in RankLog(run, "out").search("ü HERE")] == ["wanted Ü here"]
