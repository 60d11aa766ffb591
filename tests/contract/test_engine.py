"""What every `ports.Engine` promises, with real processes. One implementation so far: local."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from gpu_workbench.protocol import BROKER_ENV, KEY_ENV, LEASE_ENV
from gpu_workbench_server.domain.environment import environment_for_holder
from gpu_workbench_server.engines.local import LocalEngine
from gpu_workbench_server.ports import Engine, ProcessRef, ProcessSpec
from tests.support.waiting import wait_for

LEASE = 7
FOREVER = "import time; print('up', flush=True); time.sleep(600)"
MakeEngine = Callable[[], Engine]


@pytest.fixture
def broker(tmp_path: Path) -> str:
    """A name that no other test's processes carry."""
    return str(tmp_path)


@pytest.fixture(params=["local"])
def make(request: pytest.FixtureRequest, tmp_path: Path, broker: str) -> Iterator[MakeEngine]:
    """Makes engines on one place: a second one is what a restarted server would have."""
    yield lambda: LocalEngine(tmp_path / "engine", broker)
    LocalEngine(tmp_path / "engine", broker).kill_lease(LEASE)


@pytest.fixture
def engine(make: MakeEngine) -> Engine:
    return make()


@pytest.fixture
def spec(tmp_path: Path, broker: str) -> Callable[..., ProcessSpec]:
    def make_spec(code: str = FOREVER, key: str = "c1", **env: str) -> ProcessSpec:
        return ProcessSpec(
            key=key,
            argv=(sys.executable, "-c", code),
            env={**environment_for_holder(os.environ), LEASE_ENV: str(LEASE), BROKER_ENV: broker}
            | env,
            directory=tmp_path / key,
        )

    return make_spec


MakeSpec = Callable[..., ProcessSpec]


def output(spec: ProcessSpec) -> str:
    try:
        return (spec.directory / "out.log").read_text()
    except FileNotFoundError:
        return ""


def test_a_process_runs_in_a_session_of_its_own_with_no_input(
    engine: Engine, spec: MakeSpec
) -> None:
    asked = spec("import os, sys; print(os.getsid(0) == os.getpid(), repr(sys.stdin.read()))")
    engine.submit(asked)
    wait_for(lambda: output(asked))
    assert output(asked) == "True ''\n"


def test_its_environment_is_what_was_given_and_its_key(engine: Engine, spec: MakeSpec) -> None:
    asked = spec("import os, sys; print(sorted(os.environ)); print('done')", COLOUR="blue")
    engine.submit(asked)
    wait_for(lambda: "done" in output(asked))
    expected = set(asked.env) | {KEY_ENV}
    assert set(eval(output(asked).splitlines()[0])) - {"LC_CTYPE"} == expected - {"LC_CTYPE"}


def test_logs_are_for_their_owner_only(engine: Engine, spec: MakeSpec) -> None:
    asked = spec("import sys; print('one'); print('two', file=sys.stderr)")
    engine.submit(asked)
    wait_for(lambda: output(asked))
    for name, text in {"out.log": "one\n", "err.log": "two\n"}.items():
        wait_for(lambda name=name, text=text: (asked.directory / name).read_text() == text)
        assert (asked.directory / name).stat().st_mode & 0o077 == 0


def test_submitting_a_key_again_finds_the_running_one(engine: Engine, spec: MakeSpec) -> None:
    assert engine.submit(spec()) == engine.submit(spec())
    assert len(engine.lease_pids(LEASE)) == 1


def test_submitting_a_key_at_the_same_moment_starts_one(make: MakeEngine, spec: MakeSpec) -> None:
    found: list[ProcessRef] = []
    threads = [
        threading.Thread(target=lambda: found.append(make().submit(spec()))) for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 6 and len({ref.pid for ref in found}) == 1


def test_a_key_whose_process_ended_can_be_submitted_again(engine: Engine, spec: MakeSpec) -> None:
    first = engine.submit(spec("pass"))
    wait_for(lambda: engine.state(first) == "gone")
    assert engine.find("c1") is None
    assert engine.submit(spec()).pid != first.pid


def test_what_cannot_be_started_raises_and_leaves_nothing(
    engine: Engine, spec: MakeSpec, tmp_path: Path
) -> None:
    asked = spec()
    wrong = ProcessSpec(asked.key, (str(tmp_path / "no-such-python"),), asked.env, asked.directory)
    with pytest.raises(OSError):
        engine.submit(wrong)
    assert engine.find(asked.key) is None


def test_an_unknown_key_finds_nothing(engine: Engine) -> None:
    assert engine.find("c404") is None


@pytest.mark.parametrize("key", ["", "../c1", "a/b", ".hidden", "x" * 101])
def test_a_key_is_a_name_and_never_a_path(engine: Engine, spec: MakeSpec, key: str) -> None:
    with pytest.raises(ValueError):
        engine.submit(spec(key=key))


def test_another_engine_on_the_same_place_takes_it_up(make: MakeEngine, spec: MakeSpec) -> None:
    ref = make().submit(spec())
    assert make().find("c1") == ref
    assert make().state(ref) == "running"


def test_a_submission_cut_off_before_it_was_recorded_is_found_by_its_tag(
    make: MakeEngine, spec: MakeSpec, tmp_path: Path
) -> None:
    # A server that is killed in the very moment between start and record.
    asked = spec()
    (tmp_path / "engine").mkdir(exist_ok=True)
    script = f"""
import os, signal
from pathlib import Path
from gpu_workbench_server.engines.local import LocalEngine
from gpu_workbench_server.ports import ProcessSpec
class Cut(LocalEngine):
    def _spawn(self, spec):
        child = super()._spawn(spec)
        os.kill(os.getpid(), signal.SIGKILL)
        return child
Cut(Path({str(tmp_path / "engine")!r}), {str(tmp_path)!r}).submit(
    ProcessSpec("c1", {asked.argv!r}, {dict(asked.env)!r}, Path({str(asked.directory)!r})))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    wait_for(lambda: output(asked))
    found = make().find("c1")
    assert found is not None and make().state(found) == "running"
    assert make().submit(asked) == found
    assert make().lease_pids(LEASE) == [found.pid]


def test_a_pid_that_is_another_process_by_now_is_gone(engine: Engine, spec: MakeSpec) -> None:
    ref = engine.submit(spec())
    assert engine.state(ProcessRef("c9", ref.pid, ref.started - 3600)) == "gone"


def test_it_is_still_known_after_the_clock_was_set(engine: Engine, spec: MakeSpec) -> None:
    ref = engine.submit(spec())
    wait_for(lambda: engine.lease_pids(LEASE))
    assert engine.state(ProcessRef("c1", ref.pid, ref.started - 3600)) == "running"


def test_our_dead_children_leave_no_zombies(engine: Engine, spec: MakeSpec) -> None:
    ref = engine.submit(spec("pass"))
    wait_for(lambda: engine.state(ref) == "gone")
    wait_for(lambda: not engine.lease_pids(LEASE) and not psutil.pid_exists(ref.pid))


def test_terminate_asks_and_does_not_wait(engine: Engine, spec: MakeSpec) -> None:
    asked = spec(
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: (print('bye', flush=True), sys.exit()))\n"
        "print('up', flush=True)\ntime.sleep(600)"
    )
    ref = engine.submit(asked)
    wait_for(lambda: "up" in output(asked))
    engine.terminate(ref)
    wait_for(lambda: engine.state(ref) == "gone")
    assert "bye" in output(asked)
    engine.terminate(ref)  # gone already: nothing to ask


def test_killing_a_lease_ends_whatever_carries_it(engine: Engine, spec: MakeSpec) -> None:
    # A child in another session, whose parent is gone, and which doesn't hear SIGTERM.
    hidden = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "print('hidden', flush=True); time.sleep(600)"
    )
    asked = spec(
        f"import subprocess, sys, time\n"
        f"subprocess.Popen([sys.executable, '-c', {hidden!r}], start_new_session=True)\n"
        f"time.sleep(600)"
    )
    ref = engine.submit(asked)
    wait_for(lambda: "hidden" in output(asked))
    os.kill(ref.pid, signal.SIGKILL)
    wait_for(lambda: engine.state(ref) == "gone")
    (left,) = engine.lease_pids(LEASE)
    assert engine.find("c1") is None, "what it left behind is not the holder itself"
    assert engine.kill_lease(LEASE) == [left]
    assert engine.lease_pids(LEASE) == []


def test_killing_a_lease_outruns_a_process_that_forks(engine: Engine, spec: MakeSpec) -> None:
    asked = spec(  # not for ever: a test that is cut off must not leave it behind
        "import os, time\nprint('up', flush=True)\nend = time.time() + 60\n"
        "while time.time() < end:\n"
        "    if os.fork():\n        time.sleep(0.001)\n        os._exit(0)\n    os.setsid()"
    )
    engine.submit(asked)
    wait_for(lambda: "up" in output(asked))
    engine.kill_lease(LEASE)
    assert engine.lease_pids(LEASE) == []


SHARES = """
from multiprocessing import Process, resource_tracker, shared_memory
import time
shared = shared_memory.SharedMemory(create=True, size=1 << 20)
child = Process(target=time.sleep, args=(600,))
child.start()
print(shared.name, child.pid, resource_tracker._resource_tracker._pid, flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("stopped", [False, True], ids=["running", "stopped"])
def test_killing_a_lease_leaves_no_shared_memory(
    engine: Engine, spec: MakeSpec, stopped: bool
) -> None:
    one = spec(SHARES)
    ref = engine.submit(one)
    name, child, tracker = wait_for(lambda: output(one).split(), what="memory is shared")
    pids = [ref.pid, int(child), int(tracker)]
    wait_for(lambda: "import main" in " ".join(psutil.Process(pids[2]).cmdline()), what="it runs")
    memory = Path("/dev/shm", name)
    assert memory.exists()
    for pid in pids if stopped else ():
        os.kill(pid, signal.SIGSTOP)
    assert set(engine.kill_lease(LEASE)) >= {ref.pid, int(child)}
    assert not memory.exists(), "its tracker was killed before it had unlinked it"
    assert engine.lease_pids(LEASE) == []


def test_another_lease_and_another_broker_are_left_alone(
    engine: Engine, spec: MakeSpec, broker: str
) -> None:
    other = engine.submit(spec(key="c2", **{LEASE_ENV: "8"}))
    foreign = engine.submit(spec(key="c3", **{BROKER_ENV: "somebody else's"}))
    mine = engine.submit(spec())
    wait_for(lambda: engine.lease_pids(8) and engine.lease_pids(LEASE))
    assert engine.kill_lease(LEASE) == [mine.pid]
    assert engine.state(other) == engine.state(foreign) == "running"
    engine.kill_lease(8)
    engine.terminate(foreign)
    wait_for(lambda: engine.state(foreign) == "gone")


def test_a_key_is_killed_with_all_that_it_started_whatever_lease_that_is_on(
    engine: Engine, spec: MakeSpec
) -> None:
    """A cluster's own process is on no lease, and each of its workers on another."""
    worker = "import time; time.sleep(600)"
    code = (
        "import os, subprocess, sys, time\n"
        f"subprocess.Popen([sys.executable, '-S', '-c', {worker!r}],"
        f" env=os.environ | {{{LEASE_ENV!r}: '8'}}, start_new_session=True)\n"
        "time.sleep(600)"
    )
    ref = engine.submit(spec(code, **{LEASE_ENV: "0"}))
    (pid,) = wait_for(lambda: engine.lease_pids(8)) or []
    assert set(engine.kill_key(ref.key)) == {ref.pid, pid}
    assert engine.lease_pids(8) == [] and engine.state(ref) == "gone"
    assert engine.kill_key(ref.key) == []
