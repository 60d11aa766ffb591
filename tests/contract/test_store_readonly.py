"""A directory or a file that may only be read: said at once, and nothing is lost."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from gpu_workbench_server.domain.decisions import Change
from gpu_workbench_server.store import FILE_NAME
from gpu_workbench_server.store.sql import SqlStore
from tests.support.leasing import a_request

AS_NOBODY = """
    import os, sys
    from gpu_workbench_server.domain.decisions import Change
    from gpu_workbench_server.errors import StoreTrouble
    from gpu_workbench_server.store.sql import SqlStore
    from tests.support.leasing import a_request

    if os.geteuid() == 0:  # to root nothing is read-only
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
    try:
        store = SqlStore.open(sys.argv[1])
        store.commit([Change("queued", a_request(2))])
    except StoreTrouble as trouble:
        print(trouble.message, trouble.hint)
"""


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that any user may enter: pytest's own are for one user only."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def opened_by_nobody(folder: Path) -> str:
    """What a user who may only read there is told."""
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(AS_NOBODY), str(folder)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(root), *sys.path])},
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout


def test_a_read_only_directory_is_said_before_anything_is_made(open_folder: Path) -> None:
    open_folder.chmod(0o555)
    told = opened_by_nobody(open_folder)
    assert str(open_folder) in told
    assert "may write" in told
    assert list(open_folder.iterdir()) == []


def test_a_store_that_may_only_be_read_is_said_and_loses_nothing(open_folder: Path) -> None:
    store = SqlStore.open(open_folder)
    store.commit([Change("queued", a_request(1))])
    store.close()
    (open_folder / FILE_NAME).chmod(0o444)
    open_folder.chmod(0o555)
    assert "may write" in opened_by_nobody(open_folder)
    open_folder.chmod(0o755)
    (open_folder / FILE_NAME).chmod(0o600)
    again = SqlStore.open(open_folder)
    assert again.load().requests == (a_request(1),)
    again.close()
