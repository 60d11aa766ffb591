"""When something is wrong the Jupyter server comes up all the same, and every route says what."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from tornado.httpclient import HTTPClientError

from gpu_workbench import protocol as wire
from gpu_workbench_server import app as app_module
from gpu_workbench_server.lock import DataDirectoryLock
from gpu_workbench_server.web.routes import ROUTES
from tests.fakes.nvml import FakeDriver, FakeGpu, install
from tests.support.lab import HttpError, LabServer
from tests.support.waiting import wait_for


async def expect_503(workbench: Any, code: str) -> dict[str, str]:
    """Every route answers 503 with that code; the WebSocket does not open. Returns the problem."""
    problem: dict[str, str] = {}
    for route in ROUTES:
        path = route.path.replace("{id}", "1").strip("/")
        status, problem = await workbench.call(route.method, path)
        assert (status, problem["code"]) == (503, code), route.path
        assert problem["message"]
        assert problem["hint"]
    with pytest.raises(HTTPClientError) as refused:
        await workbench.live()
    assert refused.value.code == 503
    return problem


WRONG = [
    ({"lease_ttl": "soon"}, "lease_ttl"),  # not of the trait's type
    ({"devices": "magic"}, "devices"),
    ({"lease_ttl": 0}, "lease_ttl"),  # of the type, and senseless
    ({"fractions": [1.5]}, "fractions"),
    ({"user_limits": {"ana": -1.0}}, "ana"),
    ({"default_seconds": 10**9}, "max_seconds"),
    ({"fleet_file": "no/such/fleet.toml"}, "fleet_file"),
]


@pytest.mark.parametrize(("changed", "said"), WRONG)
async def test_a_wrong_setting_is_named_and_the_rest_of_jupyter_works(
    changed: dict[str, Any], said: str, workbench: Any
) -> None:
    problem = await expect_503(workbench, "bad_configuration")
    assert said in problem["message"]
    assert (await workbench.fetch("api", "status")).code == 200


async def test_a_wrong_config_file_does_not_end_the_server(
    broken_config_file: None, workbench: Any
) -> None:
    problem = await expect_503(workbench, "bad_configuration")
    assert "tick_seconds" in problem["message"]


@pytest.fixture
def broken_config_file(jp_config_dir: Path) -> None:
    """traitlets ends a process whose own config file is wrong: here the file is the extension's."""
    file = jp_config_dir / "jupyter_gpu_workbench_server_config.json"
    file.write_text(json.dumps({"GpuWorkbenchApp": {"tick_seconds": "often"}}))


@pytest.fixture
def fleet_file(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "fleet.toml"
    path.write_text("[[gpu]]\nmodel = 3\n")
    yield path


async def test_a_fleet_file_that_makes_no_sense_is_named(
    fleet_file: Path, workbench_with_fleet: Any
) -> None:
    problem = await expect_503(workbench_with_fleet, "bad_configuration")
    assert str(fleet_file) in problem["message"]


@pytest.fixture
def workbench_with_fleet(
    settings: dict[str, Any], fleet_file: Path, request: pytest.FixtureRequest
) -> Any:
    settings["fleet_file"] = str(fleet_file)
    return request.getfixturevalue("workbench")


@pytest.fixture
def other_server(tmp_path: Path) -> Iterator[LabServer]:
    """Another Jupyter server, in a process of its own."""
    with LabServer(tmp_path / "other", workbench={"devices": "simulated"}) as server:
        yield server


@pytest.fixture
def second(
    other_server: LabServer,
    settings: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> Any:
    """The server of this process, on the data directory of the other."""
    monkeypatch.setattr(app_module, "RETRY_SECONDS", 0.1)
    settings["data_dir"] = str(other_server.data_dir / "gpu-workbench")
    return request.getfixturevalue("workbench")


async def test_a_second_server_on_the_same_data_names_the_first_and_takes_over_when_it_ends(
    other_server: LabServer, second: Any
) -> None:
    problem = await expect_503(second, "broker_busy")
    assert str(other_server.pid) in problem["message"]
    number = other_server.api("POST", "requests", {"what": "10GB", "key": "k"})["id"]
    assert wire.CONNECTION_ENV not in os.environ, "its kernels shall find the first server"

    other_server.stop()

    async def up() -> bool:
        return bool((await second.call("GET", "status"))[0] == 200)

    await second.eventually(up, "taken over")
    assert [one["id"] for one in (await second.call("GET", "leases"))[1]["leases"]] == [number]


async def test_the_lock_is_gone_with_its_process_however_it_dies(
    other_server: LabServer,
) -> None:
    directory = other_server.data_dir / "gpu-workbench"
    other_server.kill9()
    lock = DataDirectoryLock(directory)
    lock.take()
    lock.release()


async def test_a_data_directory_that_cannot_be_used_is_named(tmp_path: Path, blocked: Any) -> None:
    problem = await expect_503(blocked, "store_trouble")
    assert str(tmp_path) in problem["message"]


@pytest.fixture
def blocked(tmp_path: Path, settings: dict[str, Any], request: pytest.FixtureRequest) -> Any:
    """The data directory would lie below a file."""
    (tmp_path / "file").write_text("")
    settings["data_dir"] = str(tmp_path / "file" / "workbench")
    return request.getfixturevalue("workbench")


def test_a_gpu_that_is_lost_while_it_is_watched_reaches_the_fleet_at_once(tmp_path: Path) -> None:
    """The fleet itself is looked at every half minute only."""
    gpus = [FakeGpu(), FakeGpu()]
    fake = install(FakeDriver(gpus=gpus), tmp_path / "driver")
    env = {"LD_LIBRARY_PATH": str(fake.directory)}
    with LabServer(tmp_path / "lab", workbench={"devices": "nvml"}, env=env) as server:

        def health() -> list[str]:
            with suppress(HttpError):  # nothing was seen yet
                server.api("GET", "telemetry")  # somebody looks
            return [one["health"] for one in server.api("GET", "fleet")["gpus"]]

        assert health() == ["ok", "ok"]
        gpus[1].lost = True
        fake.write(FakeDriver(gpus=gpus))
        wait_for(lambda: health() == ["ok", "lost"], what="the fleet shows it lost")
