"""The past of a process: told to who runs it and to administrators, as if unknown to all others."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psutil
import pytest

from gpu_workbench_server.ports import Principal

from .conftest import Workbench


@dataclass(frozen=True)
class Person:
    """Somebody whom Jupyter let in, as a hub would name them."""

    user: str
    admin: bool = False

    def principal(self, jupyter_username: str) -> Principal:
        return Principal(self.user, admin=self.admin)


ANA, BEN, ROOT = Person("ana"), Person("ben"), Person("root", admin=True)


@pytest.fixture
def sleeper() -> Iterator[psutil.Popen]:
    with psutil.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def becomes(workbench: Workbench, person: Person) -> None:
    workbench.app.workbench.identity = person


async def held_by(workbench: Workbench, process: psutil.Popen) -> int:
    """A lease whose holder is this process."""
    lease: int = (await workbench.call("POST", "requests", {"what": "0.5"}))[1]["id"]
    holder = {"kind": "cell", "id": "c1", "name": "cell 3"}
    holder |= {"pid": process.pid, "started": process.create_time()}
    code, answer = await workbench.call("POST", f"leases/{lease}/bind", holder)
    assert code == 200, answer
    return lease


async def subject_of(workbench: Workbench, pid: int) -> str:
    async def named() -> Any:
        seen = (await workbench.call("GET", "telemetry/processes"))[1]["processes"]
        return next((one["subject"] for one in seen if one["pid"] == pid), None)

    found: str = await workbench.eventually(named, "the process has a past")
    return found


async def told(workbench: Workbench, subject: str) -> dict[str, Any]:
    """The last minute, by subject and metric; how it is cut is the same for every subject."""
    code, found = await workbench.call(
        "GET", "telemetry/history", subject=subject, seconds=60, points=60
    )
    assert code == 200 and len(found["times"]) >= 60
    return {f"{one['subject']} {one['metric']}": one["mean"] for one in found["series"]}


async def test_one_sees_the_past_of_one_s_own_processes_also_when_they_ended(
    workbench: Workbench, sleeper: psutil.Popen
) -> None:
    becomes(workbench, ANA)
    lease = await held_by(workbench, sleeper)
    subject = await subject_of(workbench, sleeper.pid)
    assert subject.startswith(f"process:{sleeper.pid}@")
    memory = f"{subject} memory_bytes"

    async def drawn_up_to_now() -> dict[str, Any] | None:
        past = await told(workbench, subject)
        return past if past[memory][-2:] != [None, None] else None

    past = await workbench.eventually(drawn_up_to_now, "its past goes up to now")
    assert {one.rpartition(" ")[2] for one in past} <= {"activity", "memory_bytes"}

    becomes(workbench, BEN)
    assert (await workbench.call("GET", "telemetry/processes"))[1] == {"processes": []}
    assert await told(workbench, subject) == await told(workbench, "process:1@2@GPU-3") == {}
    for asked in ("gpus", f"lease:{lease}", f"{lease}.0"):
        assert not [one for one in await told(workbench, asked) if "process" in one]
    both = await told(workbench, f"gpus,{subject}")
    assert both.keys() == (await told(workbench, "gpus")).keys()

    becomes(workbench, ROOT)
    assert (await told(workbench, subject)).keys() == past.keys()

    becomes(workbench, ANA)
    sleeper.kill()
    assert (await workbench.call("DELETE", f"leases/{lease}"))[0] == 200

    async def gone() -> bool:
        return not (await workbench.call("GET", "telemetry/processes"))[1]["processes"]

    await workbench.eventually(gone, "its process and its lease have ended")
    assert (await told(workbench, subject)).keys() == past.keys()
    becomes(workbench, BEN)
    assert await told(workbench, subject) == {}
