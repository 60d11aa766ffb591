"""The monitor: a window of two minutes, filled from the server, sent once a second."""

from __future__ import annotations

import json
import math
import re
import struct
import time
from base64 import b64decode
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

import gpu_workbench as gw
from gpu_workbench.widgets.monitor.picture import still
from gpu_workbench.widgets.monitor.window import SECONDS, Figures, Subject, Window
from tests.kernels.talk import run_in_kernel
from tests.support.lab import REPOSITORY, LabServer
from tests.support.waiting import wait_for

GB = 1 << 30
SLICE = Subject("s1", "churn.ipynb <b> · 1g.10gb", 10 * GB)


def floats(window: Window) -> tuple[float, ...]:
    data = window.encode()
    return struct.unpack(f"<{len(data) // 4}f", data)


def test_a_new_subject_is_unknown_until_it_is_seen() -> None:
    window = Window()
    assert window.watch([SLICE]) == [SLICE]
    assert all(math.isnan(value) for value in floats(window))
    window.step({"s1": Figures(0.5, 0.25, 2 * GB)})
    sent = floats(window)
    assert len(sent) == 3 * SECONDS
    assert (sent[SECONDS - 1], sent[2 * SECONDS - 1]) == (0.5, 0.25)
    assert sent[-1] == 2.0


def test_what_is_unknown_is_never_nought() -> None:
    window = Window()
    window.watch([SLICE])
    window.step({"s1": Figures(0.5)})
    window.step({})
    track = window.track("s1")
    assert track.activity[-2] == 0.5
    assert math.isnan(track.activity[-1])
    assert all(math.isnan(value) for value in [*track.memory, *track.sm])


def test_a_subject_that_stays_keeps_its_past_and_one_that_goes_is_forgotten() -> None:
    other = Subject("s2", "other", GB)
    window = Window()
    window.watch([SLICE, other])
    window.step({"s1": Figures(0.25), "s2": Figures(1.0)})
    assert window.watch([SLICE]) == []
    assert window.track("s1").activity[-1] == 0.25
    assert len(floats(window)) == 3 * SECONDS


def test_the_past_is_put_where_it_belongs() -> None:
    window = Window()
    window.watch([SLICE])
    past = [(880.0, 0.1, 1), (990.0, 0.9, 3), (995.0, 0.4, 1)]
    window.fill("s1", 1000.0, [(at, Figures(use, None, gb * GB)) for at, use, gb in past])
    activity, memory = window.track("s1").activity, window.track("s1").memory
    assert math.isnan(activity[60]), "a gap of minutes is not filled"
    assert activity[SECONDS - 1 - 10 : SECONDS - 1 - 5] == [0.9] * 5
    assert activity[SECONDS - 1 - 5 :] == [0.4] * 6
    assert memory[-1] == 1.0


def test_the_still_picture_needs_no_script_and_escapes_names() -> None:
    window = Window()
    window.watch([SLICE])
    window.step({"s1": Figures(0.5, 0.03, 2 * GB)})
    html = still(window, "key", "simulated GPUs", 0.0)
    assert "50 % · SM 3 % · 2.0 of 10 GB" in html and "simulated GPUs" in html
    assert 'class="gpuw-still gpuw-still-key"' in html
    assert "<script" not in html and "<b>:" not in html and "churn.ipynb &lt;b&gt;" in html


def test_the_still_pictures_charts_are_images_that_a_sanitizer_leaves() -> None:
    window = Window()
    window.watch([SLICE])
    for use in (0.5, None, 0.25):
        window.step({"s1": Figures(use, None, GB)})
    html = still(window, "key", "", 0.0)
    (data,) = re.findall(r'<img [^>]*src="data:image/svg\+xml;base64,([^"]+)"', html)
    svg = ElementTree.fromstring(b64decode(data))
    shapes = [one.tag.rpartition("}")[2] for one in svg]
    assert shapes.count("polygon") == 2, "what is unknown is a gap"
    assert shapes.count("polyline") == 1


def test_it_follows_what_i_hold(here: LabServer) -> None:
    monitor = gw.monitor()
    try:
        assert [one["label"][:4] for one in monitor.subjects] == ["gpu0", "gpu1"]
        with gw.request("10GB", name="churn"):
            wait_for(lambda: "churn" in repr(monitor), what="the new lease shown")
    finally:
        monitor.stop()
    assert monitor.state == "stopped"
    assert re.search(r"churn · 1g.10gb: .* of 10 GB|unknown", repr(monitor)), repr(monitor)
    monitor.close()


def test_it_shows_each_rank_of_a_job_and_ends_with_it(here: LabServer, tmp_path: Path) -> None:
    script = REPOSITORY / "tests" / "support" / "burn.py"
    job = gw.launch(script, str(tmp_path), "0.1", "10", per_rank="1g.10gb", name="train")
    monitor = gw.monitor(job)
    try:
        labels = {"job train · rank 0 · 1g.10gb", "job train · rank 1 · 1g.10gb"}
        wait_for(lambda: {one["label"] for one in monitor.subjects} == labels, what="both ranks")
        for name in ("go", "stop"):
            (tmp_path / name).touch()
        wait_for(lambda: monitor.state == "The job has succeeded.", what="the job is over")
    finally:
        monitor.close()


def test_while_nobody_sees_it_nothing_is_asked_of_the_server(here: LabServer) -> None:
    monitor = gw.monitor()
    steps = count_steps(monitor)
    try:
        wait_for(lambda: steps["all"] >= 1, what="it moves")
        monitor.seen = False
        wait_for(lambda: not monitor._looked_at.is_set(), what="told")
        at_rest = [wait_a_second(steps) for _ in range(3)]
        assert at_rest[2] == at_rest[1], "still asking"
        monitor.seen = True
        wait_for(lambda: steps["all"] > at_rest[2], what="it moves again")
    finally:
        monitor.close()


def count_steps(monitor: Any) -> dict[str, int]:
    """Counts the monitor's questions to the server from now on."""
    counted = {"all": 0}
    ask = monitor._source._client.sample

    def sample() -> Any:
        counted["all"] += 1
        return ask()

    monitor._source._client.sample = sample
    return counted


def wait_a_second(counted: dict[str, int]) -> int:
    time.sleep(1.2)  # longer than the monitor's own second: this is the time that is measured
    return counted["all"]


def test_a_monitor_of_one_lease_ends_with_it(here: LabServer) -> None:
    lease = gw.request("10GB")
    monitor = gw.monitor(lease)
    lease.release()
    wait_for(lambda: monitor.state == "The lease has ended.", what="monitor at rest")
    monitor._thread.join(30)
    assert not monitor._thread.is_alive()


def test_a_gpu_that_is_not_there_is_named_with_those_that_are(here: LabServer) -> None:
    assert "gpu1" in gw.monitor(gpu=1).subjects[0]["label"]
    with pytest.raises(gw.GpuWorkbenchError, match="There are: gpu0, gpu1"):
        gw.monitor(gpu="gpu7")


def test_it_moves_while_a_cell_runs(workbench: LabServer) -> None:
    kernel = workbench.start_kernel()
    code = """
import json, time
import gpu_workbench as gw
m = gw.monitor()
windows = [m.window]
end = time.time() + 60
while time.time() < end and len(windows) < 3:
    sum(i * i for i in range(10000))
    if m.window != windows[-1]:
        windows.append(m.window)
print(json.dumps([len(windows), len(m.subjects), m.notes]))
m.close()
m._thread.join(30)
print(m._thread.is_alive())
"""
    counted, ended = run_in_kernel(workbench, kernel["id"], code).splitlines()
    changes, subjects, notes = json.loads(counted)
    assert (changes, subjects, notes) == (3, 1, "simulated GPUs")
    assert ended == "False"
