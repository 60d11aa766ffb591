"""TensorBoard on a job: a real one, behind the server's login, gone when nobody looks."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import psutil
import pytest

from gpu_workbench import training
from gpu_workbench.holders.followers import point
from gpu_workbench_server.engines.local import LocalEngine
from gpu_workbench_server.ports import Principal
from gpu_workbench_server.services.boards import Boards
from tests.support.lab import LabServer
from tests.support.waiting import wait_for

pytest.importorskip("torch")
pytest.importorskip("tensorboard")
SCRIPT = """
import os, gpu_workbench as gw
from torch.utils.tensorboard import SummaryWriter
with SummaryWriter("runs/mine") as writer:
    for step in range(5):
        writer.add_scalar("loss", 1 / (step + 1), step)
        gw.log(step, lr=0.1)
"""


def asked(server: LabServer, url: str, data: bytes | None = None, **headers: str) -> bytes:
    request = urllib.request.Request(url, data, headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        read: bytes = answer.read()
        return read


def test_its_pages_are_there_for_who_may_see_the_job_and_for_nobody_else(
    here: LabServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "train.py").write_text(SCRIPT)
    monkeypatch.chdir(tmp_path)
    job = training.launch("train.py", ranks=1)
    job.wait(90)
    link = job.tensorboard()
    assert link.url == training.job(job.id).tensorboard().url, "it runs once"
    assert f"{job.id}/tensorboard/" in link._repr_html_()
    token = {"Authorization": f"token {here.token}"}
    assert b"<title>TensorBoard" in asked(here, link.url, **token)

    def runs() -> Any:
        found = json.loads(asked(here, f"{link.url}data/runs", **token))
        return sorted(found) if len(found) == 2 else None

    assert wait_for(runs, what="both runs are read") == ["rank-0", "rank-0-0-mine"]
    tags = json.loads(asked(here, f"{link.url}data/plugin/scalars/tags", **token))
    assert {run: list(found) for run, found in tags.items()} == {
        "rank-0": ["lr"],
        "rank-0-0-mine": ["loss"],
    }
    question = (
        b'--x\r\nContent-Disposition: form-data; name="requests"\r\n\r\n'
        b'[{"plugin":"scalars","tag":"loss"}]\r\n--x--\r\n'
    )
    address = f"{link.url}experiment/defaultExperimentId/data/plugin/timeseries/timeSeries"
    form = {"Content-Type": "multipart/form-data; boundary=x"}
    (series,) = json.loads(asked(here, address, question, **token, **form))
    assert len(series["runToSeries"]["rank-0-0-mine"]) == 5

    with pytest.raises(urllib.error.HTTPError, match="401"):
        asked(here, f"{link.url}data/runs")
    with pytest.raises(urllib.error.HTTPError, match="404"):
        asked(here, link.url.replace(job.id, "job-none"), **token)

    (process,) = boards(here)
    assert not [one for one in process.net_connections() if one.status == psutil.CONN_LISTEN]
    heard = {one.laddr for one in process.net_connections("unix")}
    (path,) = (one for one in heard if one.endswith("board.sock"))
    assert stat.S_IMODE(Path(path).stat().st_mode) & 0o077 == 0
    process.terminate()
    wait_for(lambda: not boards(here), what="it is over")
    with pytest.raises(urllib.error.HTTPError, match="503"):
        asked(here, link.url, **token)
    assert job.tensorboard().url == link.url, "it starts again"
    for one in boards(here):
        one.terminate()


def boards(server: LabServer) -> list[psutil.Process]:
    """Those of this server's jobs."""
    found = []
    for one in psutil.process_iter(["cmdline"]):
        words = one.info["cmdline"] or []
        if "gpu_workbench.holders.board" in words and words[-1].startswith(str(server.root)):
            found.append(one)
    return found


def test_it_ends_when_nobody_asks(tmp_path: Path) -> None:
    job = tmp_path / ("a-name-too-long-for-the-path-of-a-socket-" * 3)
    run = job / "attempt-0" / "rank-0"
    run.mkdir(parents=True)
    (run / "metrics.jsonl").write_text(json.dumps(point(1, 1.0, {"loss": 0.5})) + "\n")
    code = (
        "import sys, pathlib\nfrom gpu_workbench.holders import board\n"
        "board.IDLE_SECONDS = 4.0\nboard.main(pathlib.Path(sys.argv[1]))"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(job)])
    status = job / "board" / "status.json"
    wait_for(status.exists, 60, "it is up")
    path = json.loads(status.read_text())["socket"]
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)
        client.sendall(b"GET /data/runs HTTP/1.0\r\n\r\n")
        assert b"200 OK" in client.recv(1000)
    assert process.wait(90) == 0
    assert not status.exists() and not Path(path).parent.exists(), "nor what was made for it"


@pytest.mark.parametrize("then", ["tidied up after", "opened again"])
def test_one_that_was_killed_leaves_no_directory_of_sockets(tmp_path: Path, then: str) -> None:
    jobs = tmp_path / ("a-path-too-long-for-that-of-a-socket-" * 3)
    engine = LocalEngine(tmp_path / "engine", str(tmp_path))
    boards = Boards(lambda who, job: (jobs / job, sys.executable), engine)
    ana = Principal("ana")

    def opened() -> Path:
        wait_for(lambda: boards.open(ana, "job-1").ready, 60, "it is up")
        path = boards.socket(ana, "job-1")
        assert path
        return Path(path)

    def killed() -> None:
        running = engine.find("job-1-board")
        if running is not None:
            os.kill(running.pid, signal.SIGKILL)
        wait_for(lambda: boards.socket(ana, "job-1") is None, what="it is over")

    try:
        path = opened()
        assert not path.is_relative_to(jobs), "it lies elsewhere"
        boards.tidy(jobs)
        assert path.exists(), "it is in use"
        killed()
        if then == "opened again":
            assert opened() != path
        else:
            boards.tidy(jobs)
        assert not path.parent.exists()
    finally:
        killed()
        boards.tidy(jobs)
