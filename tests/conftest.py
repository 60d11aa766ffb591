"""Generic things for every suite: nobody's real directories, signals as in a foreground process."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import settings

from tests.support.lab import LabServer
from tests.support.postgres import Postgres

# A shell starts what it puts into the background with SIGINT ignored, which is inherited: the stop
# button, that kernels know as SIGINT, would do nothing.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A busy CI machine is slow at random; a property is no less true for it.
settings.register_profile("workbench", deadline=None)
settings.load_profile("workbench")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failure tells how the logs of the servers that run end: CI keeps nothing but its output."""
    report = yield
    if report.failed:
        report.sections += [
            (f"end of {server.log_file}", server.log_tail()) for server in LabServer.alive
        ]
    return report


@pytest.fixture(scope="session", autouse=True)
def own_directories(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Jupyter's directories are the test session's own, and no outer workbench is known."""
    base = tmp_path_factory.mktemp("jupyter")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("CONFIG", "DATA", "RUNTIME"):
            patch.setenv(f"JUPYTER_{name}_DIR", str(base / name.lower()))
        patch.setenv("IPYTHONDIR", str(base / "ipython"))
        for name in [name for name in os.environ if name.startswith("GPU_WORKBENCH_")]:
            patch.delenv(name)
        yield


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL of the test session's own; each test takes databases of its own from it."""
    with Postgres() as server:
        yield server


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A directory whose path leaves room for sockets', as that of `tmp_path` may not."""
    with TemporaryDirectory() as made:
        yield Path(made)
