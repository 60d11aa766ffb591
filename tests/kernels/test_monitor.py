"""The monitor: a window of two minutes, filled from the server, sent once a second."""

from __future__ import annotations

import json
import math
import struct
from typing import Any

import pytest

import gpu_workbench as gw
from gpu_workbench.widgets.monitor.picture import still
from gpu_workbench.widgets.monitor.window import SECONDS, Subject, Window
from tests.kernels.talk import run_in_kernel
from tests.support.lab import LabServer
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
    window.step({"s1": (0.5, 2 * GB)})
    sent = floats(window)
    assert len(sent) == 2 * SECONDS
    assert sent[SECONDS - 1] == 0.5
    assert sent[-1] == 2.0


def test_what_is_unknown_is_never_nought() -> None:
    window = Window()
    window.watch([SLICE])
    window.step({"s1": (0.5, None)})
    window.step({})
    activity, memory = window.series("s1")
    assert activity[-2] == 0.5
    assert math.isnan(activity[-1])
    assert all(math.isnan(value) for value in memory)


def test_a_subject_that_stays_keeps_its_past_and_one_that_goes_is_forgotten() -> None:
    other = Subject("s2", "other", GB)
    window = Window()
    window.watch([SLICE, other])
    window.step({"s1": (0.25, None), "s2": (1.0, None)})
    assert window.watch([SLICE]) == []
    assert window.series("s1")[0][-1] == 0.25
    assert len(floats(window)) == 2 * SECONDS


def test_the_past_is_put_where_it_belongs() -> None:
    window = Window()
    window.watch([SLICE])
    window.fill("s1", 1000.0, [(880.0, 0.1, GB), (990.0, 0.9, 3 * GB), (995.0, 0.4, GB)])
    activity, memory = window.series("s1")
    assert math.isnan(activity[60]), "a gap of minutes is not filled"
    assert activity[SECONDS - 1 - 10 : SECONDS - 1 - 5] == [0.9] * 5
    assert activity[SECONDS - 1 - 5 :] == [0.4] * 6
    assert memory[-1] == 1.0


def test_the_still_picture_needs_no_script_and_escapes_names() -> None:
    window = Window()
    window.watch([SLICE])
    window.step({"s1": (0.5, 2 * GB)})
    html = still(window)
    assert "activity 50%" in html and "2.0 of 10 GB" in html
    assert "<script" not in html and "<b>" not in html and "&lt;b&gt;" in html


def test_it_follows_what_i_hold(here: LabServer) -> None:
    monitor = gw.monitor()
    try:
        assert [one["label"][:4] for one in monitor.subjects] == ["gpu0", "gpu1"]
        with gw.request("10GB", name="churn"):
            wait_for(lambda: "churn" in repr(monitor), 15, "the new lease shown")
    finally:
        monitor.stop()
    assert monitor.state == "stopped"
    bundle: Any = monitor._repr_mimebundle_()[0]
    assert "<svg" in bundle["text/html"]
    assert "application/vnd.jupyter.widget-view+json" in bundle
    monitor.close()


def test_a_monitor_of_one_lease_ends_with_it(here: LabServer) -> None:
    lease = gw.request("10GB")
    monitor = gw.monitor(lease)
    lease.release()
    wait_for(lambda: monitor.state == "The lease has ended.", 15, "monitor at rest")
    monitor._thread.join(5)
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
end = time.time() + 20
while time.time() < end and len(windows) < 3:
    sum(i * i for i in range(10000))
    if m.window != windows[-1]:
        windows.append(m.window)
print(json.dumps([len(windows), len(m.subjects), m.simulated]))
m.close()
m._thread.join(3)
print(m._thread.is_alive())
"""
    counted, ended = run_in_kernel(workbench, kernel["id"], code).splitlines()
    changes, subjects, simulated = json.loads(counted)
    assert (changes, subjects, simulated) == (3, 1, True)
    assert ended == "False"
