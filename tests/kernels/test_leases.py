"""Taking a slice into a running process, waiting for one, and giving it back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

import gpu_workbench as gw
from gpu_workbench import protocol as wire
from tests.kernels.talk import run_in_kernel
from tests.support.lab import LabServer
from tests.support.waiting import wait_for


def fill(server: LabServer) -> list[int]:
    """Lease all that there is; returns the leases' ids."""
    ids = []
    for card in server.api("GET", "cards")["cards"]:
        while True:
            asked = server.api("POST", "requests", {"what": card["profile"], "name": "other"})
            if asked["state"] != "granted":
                server.api("DELETE", f"requests/{asked['id']}")
                break
            ids.append(asked["id"])
    return ids


def once_queued(server: LabServer, what: Callable[[], Any]) -> None:
    """Do it as soon as somebody waits."""

    def watch() -> None:
        wait_for(lambda: server.api("GET", "requests")["requests"], what="somebody waits")
        what()

    threading.Thread(target=watch).start()


def test_a_request_puts_its_slice_into_this_process(here: LabServer) -> None:
    lease = gw.request("20GB", hours=1)
    try:
        assert os.environ[wire.LEASE_ENV] == str(lease.id)
        assert os.environ[wire.SIMULATED_ENV] == "1"
        assert os.environ["CUDA_VISIBLE_DEVICES"] == ""
        (held,) = here.leases()
        assert held["holder"]["pid"] == os.getpid()
        assert held["holder"]["kind"] == "cell"
        assert 3590 < lease.ends_at - time.time() <= 3600
    finally:
        lease.release()
    assert wire.LEASE_ENV not in os.environ
    assert here.leases() == []
    assert lease.state == "ended"


def test_a_lease_is_given_back_at_the_end_of_its_block(here: LabServer) -> None:
    with gw.request("1g.10gb") as lease:
        assert [one.id for one in gw.leases()] == [lease.id]
    assert gw.leases() == []


def test_a_lease_can_be_extended(here: LabServer) -> None:
    with gw.request("1g.10gb", hours=1) as lease:
        before = lease.ends_at
        assert lease.extend(hours=0.5).ends_at == pytest.approx(before + 1800, abs=1)


def test_release_gives_back_all_that_was_taken_here_and_restores_the_environment(
    here: LabServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    first = gw.request("1g.10gb")
    second = gw.request("1g.10gb")
    assert os.environ[wire.LEASE_ENV] == str(second.id)
    first.release()
    assert os.environ[wire.LEASE_ENV] == str(second.id)
    gw.release()
    assert here.leases() == []
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "0"
    assert wire.LEASE_ENV not in os.environ


def test_attach_takes_the_lease_that_was_asked_for_elsewhere(here: LabServer) -> None:
    asked = here.api("POST", "requests", {"what": "10GB"})
    lease = gw.attach()
    assert lease.id == asked["id"]
    assert gw.attach().id == lease.id, "again is the same"
    lease.release()
    with pytest.raises(gw.GpuWorkbenchError, match="No lease of yours waits"):
        gw.attach()


def test_what_can_never_be_had_is_said_at_once_and_in_words(here: LabServer) -> None:
    with pytest.raises(gw.GpuWorkbenchError) as refusal:
        gw.request("500GB")
    assert refusal.value.code == "never_fits"
    assert refusal.value.hint
    assert "Traceback" not in str(refusal.value)


def test_status_shows_what_is_free_what_i_hold_and_what_i_wait_for(here: LabServer) -> None:
    assert "2 of 2 simulated GPUs free" in repr(gw.status())
    with gw.request("20GB", name="churn"):
        here.api("POST", "requests", {"what": "gpu", "name": "later"})
        seen = gw.status()
    text, html = repr(seen), seen._repr_html_()
    assert "hold: 1/4 GPU · lease" in text or "hold: 2g.20gb · lease" in text
    assert "churn" in text
    assert "wait: whole GPU · position 1" in text
    assert seen.requests[0].reason and seen.requests[0].reason.sentence in text
    for words in ("churn", "Waiting", "Mine", "free: "):
        assert words in html


def test_waiting_shows_position_and_reason_and_ends_with_the_lease(
    here: LabServer, capsys: pytest.CaptureFixture[str]
) -> None:
    ids = fill(here)
    once_queued(here, lambda: [here.api("DELETE", f"leases/{one}") for one in ids])
    lease = gw.request("1g.10gb")
    lease.release()
    shown = capsys.readouterr().out
    assert "waiting for 1g.10gb · position 1" in shown
    assert "Granted: 1g.10gb" in shown


def test_an_interrupted_wait_leaves_nothing_behind(here: LabServer) -> None:
    fill(here)
    held = here.leases()
    once_queued(here, lambda: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        gw.request("1g.10gb")
    assert here.api("GET", "requests")["requests"] == []
    assert here.leases() == held


def test_a_wait_that_takes_too_long_is_taken_back(here: LabServer) -> None:
    fill(here)
    with pytest.raises(gw.GpuWorkbenchError) as late:
        gw.request("1g.10gb", timeout=1)
    assert late.value.code == "timeout"
    assert here.api("GET", "requests")["requests"] == []


def test_without_waiting_the_reason_is_raised(here: LabServer) -> None:
    fill(here)
    with pytest.raises(gw.GpuWorkbenchError) as refusal:
        gw.request("1g.10gb", wait=False)
    assert refusal.value.code == "not_now"
    assert here.api("GET", "requests")["requests"] == []


def test_what_a_killed_process_took_is_free_again(here: LabServer) -> None:
    code = """
import time
import gpu_workbench as gw
print(gw.request("1g.10gb").id, flush=True)
time.sleep(99)
"""
    taker = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=os.environ)
    assert taker.stdout is not None
    lease_id = int(taker.stdout.readline())
    assert [one["id"] for one in here.leases()] == [lease_id]
    taker.kill()
    taker.wait()
    taker.stdout.close()
    wait_for(lambda: not here.leases(), what="the lease lost")
    assert here.api("GET", f"leases/{lease_id}")["end_reason"] == "lost"


def test_a_notebook_takes_and_returns_a_slice_and_lives_on(workbench: LabServer) -> None:
    kernel = workbench.start_kernel("python3")
    taken = run_in_kernel(
        workbench, kernel["id"], "import gpu_workbench as gw; l = gw.request('20GB'); print(l.id)"
    )
    (lease,) = workbench.leases()
    assert taken.strip() == str(lease["id"])
    run_in_kernel(workbench, kernel["id"], "l.release()")
    wait_for(lambda: workbench.api("GET", f"leases/{lease['id']}")["cleared"], what="cleared")
    assert run_in_kernel(workbench, kernel["id"], "print('still here')") == "still here\n"


def test_a_kernel_started_on_a_slice_says_how_to_give_it_back(workbench: LabServer) -> None:
    kernel = workbench.start_kernel()
    code = """
import gpu_workbench as gw
try:
    gw.release()
except gw.GpuWorkbenchError as error:
    print(error.hint)
print(gw.attach().id == gw.leases()[0].id)
"""
    said = run_in_kernel(workbench, kernel["id"], code)
    assert said == "Shut the kernel down to give the slice back.\nTrue\n"


def test_the_cell_magic_holds_a_slice_for_as_long_as_the_cell_runs(workbench: LabServer) -> None:
    kernel = workbench.start_kernel("python3")
    run_in_kernel(workbench, kernel["id"], "%load_ext gpu_workbench")
    code = "%%gpu 10GB\nimport os\nprint(os.environ['GPU_WORKBENCH_LEASE'])"
    lease_id = run_in_kernel(workbench, kernel["id"], code).strip()
    assert workbench.api("GET", f"leases/{lease_id}")["end_reason"] == "released"


def test_a_cell_that_fails_under_the_magic_fails_and_gives_its_slice_back(
    workbench: LabServer,
) -> None:
    kernel = workbench.start_kernel("python3")
    run_in_kernel(workbench, kernel["id"], "%load_ext gpu_workbench")
    with pytest.raises(AssertionError, match="CellFailed"):
        run_in_kernel(workbench, kernel["id"], "%%gpu 10GB\n1 / 0")
    assert workbench.leases() == []
