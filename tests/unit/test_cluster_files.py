"""What stays of a cluster that is over, also of one whose holder was killed."""

from __future__ import annotations

import socket
from pathlib import Path

import msgspec

from gpu_workbench import protocol as wire
from gpu_workbench_server.services.cluster_files import ClusterFiles


def killed(directory: Path, pages: Path) -> ClusterFiles:
    """A cluster whose holder had its pages there and said no last word."""
    pages.parent.mkdir(exist_ok=True)
    with socket.socket(socket.AF_UNIX) as heard:
        heard.bind(str(pages))
    said = wire.ClusterStatus(
        state="running",
        message="",
        workers=[],
        updated_at=1.0,
        dashboard_socket=str(pages),
    )
    (directory / "status.json").write_bytes(msgspec.json.encode(said))
    return ClusterFiles(directory)


def test_the_sockets_that_a_killed_holder_had_elsewhere_are_removed_with_their_directory(
    tmp_path: Path, short_path: Path
) -> None:
    pages = short_path / "gpu-workbench-1a2b3c4d" / "dashboard.sock"
    killed(tmp_path, pages.with_name("listener-1a2b3c4d"))
    killed(tmp_path, pages).tidy()
    assert not pages.parent.exists()


def test_a_status_can_not_name_another_directory(tmp_path: Path, short_path: Path) -> None:
    pages = short_path / "mine" / "dashboard.sock"
    killed(tmp_path, pages).tidy()
    assert pages.exists()


def test_what_is_no_socket_stays(tmp_path: Path, short_path: Path) -> None:
    other = short_path / "gpu-workbench-1a2b3c4d" / "notes.txt"
    files = killed(tmp_path, other.with_name("dashboard.sock"))
    other.write_text("somebody's")
    files.tidy()
    assert other.exists()
