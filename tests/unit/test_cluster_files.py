"""What stays of a cluster that is over, also of one whose holder was killed."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pytest

from gpu_workbench import protocol as wire
from gpu_workbench_server.services.cluster_files import ClusterFiles


@pytest.fixture
def elsewhere() -> Iterator[Path]:
    """Its path is short enough for a socket, as pytest's is not on every machine."""
    with TemporaryDirectory() as made:
        yield Path(made)


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


def test_the_socket_that_a_killed_holder_had_elsewhere_is_removed_with_its_directory(
    tmp_path: Path, elsewhere: Path
) -> None:
    pages = elsewhere / "gpu-workbench-1a2b3c4d" / "dashboard.sock"
    killed(tmp_path, pages).tidy()
    assert not pages.parent.exists()


@pytest.mark.parametrize("name", ["gpu-workbench-1a2b3c4d/agent.sock", "mine/dashboard.sock"])
def test_a_status_can_not_name_anything_else_to_be_removed(
    tmp_path: Path, elsewhere: Path, name: str
) -> None:
    killed(tmp_path, elsewhere / name).tidy()
    assert (elsewhere / name).exists()


def test_what_is_no_socket_stays(tmp_path: Path, elsewhere: Path) -> None:
    pages = elsewhere / "gpu-workbench-1a2b3c4d" / "dashboard.sock"
    files = killed(tmp_path, pages)
    pages.unlink()
    pages.write_text("a file of somebody's")
    files.tidy()
    assert pages.exists()
