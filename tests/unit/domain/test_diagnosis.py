"""Who is named when a run fails, of what cause: the first one, not its echoes.

That each cause shows like this is provoked for real in tests/slow/test_failures.py.
"""

from __future__ import annotations

import pytest

from gpu_workbench_server.domain.causes import CAUSES, cause_of
from gpu_workbench_server.domain.diagnosis import End, Raised, RankEnd, diagnose, first_cause

PEER = Raised("RuntimeError", "[gloo/tcp/pair.cc:547] Connection closed by peer [127.0.0.1]", 99.0)
STORE = Raised("DistNetworkError", "The client socket has failed to connect", 99.0)


def bug(at: float = 100.0, where: str = "train.py:12", message: str = "bad shape") -> Raised:
    return Raised("ValueError", message, at, where)


@pytest.mark.parametrize(
    ("ranks", "sentence"),
    [
        pytest.param(
            [RankEnd(0, 0), RankEnd(1, 1, 7, raised=bug())],
            "rank 1: ValueError: bad shape at train.py:12, after step 7",
            id="an exception, where it was raised",
        ),
        pytest.param(
            [RankEnd(0, 1, 7, raised=PEER), RankEnd(1, 1, 7, raised=bug(at=100.0))],
            "rank 1: ValueError: bad shape at train.py:12, after step 7",
            id="a lost peer is an echo, also where it was noticed before the error was written",
        ),
        pytest.param(
            [
                RankEnd(0, 1, 410, 50.0, 53.5, PEER),
                RankEnd(1, -9, 410, 50.0, 53.0),
            ],
            "rank 1 was killed by SIGKILL, 3 s after step 410",
            id="the killed rank, not the survivor",
        ),
        pytest.param(
            [RankEnd(0, 1, raised=bug(at=100.2)), RankEnd(1, 1, raised=bug(100.1, "data.py:3"))],
            "rank 1: ValueError: bad shape at data.py:3",
            id="of two exceptions the earlier",
        ),
        pytest.param(
            [RankEnd(0, 1, raised=bug(at=100.2)), RankEnd(1, 1, raised=bug(at=100.1))],
            "every rank: ValueError: bad shape at train.py:12",
            id="one bug on all ranks is said once",
        ),
        pytest.param(
            [RankEnd(0, -6, gone_at=99.0), RankEnd(1, 1, raised=bug(at=100.0))],
            "rank 1: ValueError: bad shape at train.py:12",
            id="an abort is often a watchdog's word about a peer",
        ),
        pytest.param(
            [RankEnd(0, -6, 3, 98.0, 99.0), RankEnd(1, 1, raised=STORE)],
            "rank 0 was killed by SIGABRT, 1 s after step 3",
            id="an abort comes before a lost peer",
        ),
        pytest.param(
            [RankEnd(0, -15), RankEnd(1, -11)],
            "rank 1 was killed by SIGSEGV, before its first step",
            id="a crash before the first step; SIGTERM is what the agent sent",
        ),
        pytest.param(
            [RankEnd(0, 3, 2, 10.0, 11.0), RankEnd(1)],
            "rank 0 ended with exit code 3, 1 s after step 2",
            id="an exit code without a word",
        ),
        pytest.param(
            [RankEnd(0, 2, raised=Raised("SystemExit", "2", 1.0, "train.py:4"))],
            "rank 0 ended itself with exit code 2 at train.py:4",
            id="sys.exit",
        ),
    ],
)
def test_the_first_cause_is_named(ranks: list[RankEnd], sentence: str) -> None:
    assert diagnose(End(tuple(ranks))).sentence == sentence


def test_a_missing_module_comes_with_the_line_that_installs_it() -> None:
    raised = Raised("ModuleNotFoundError", "No module named 'timm.x'", 1.0, "a.py:1", "timm.x")
    told = diagnose(End((RankEnd(0, 1, raised=raised),), python="/env/bin/python"))
    assert (told.code, told.rank) == ("missing_module", 0)
    assert "'timm.x' is not installed" in told.sentence
    assert told.hint.endswith("/env/bin/python -m pip install timm")


def test_missing_torch_is_told_before_anything_else() -> None:
    told = diagnose(End(missing_torch=True, python="/env/bin/python"))
    assert told.code == "missing_torch"
    assert told.hint.endswith("/env/bin/python -m pip install torch")


def test_restarts_that_did_not_help_are_counted() -> None:
    end = End((RankEnd(0, -9),), restarts=2)
    assert "(after 2 restarts)" in diagnose(end).sentence


def test_without_any_rank_the_agents_own_words_are_told() -> None:
    assert diagnose(End(agent_error="OSError: no space")).sentence == (
        "the ranks could not be started: OSError: no space"
    )
    assert diagnose(End(agent_log="Traceback\nKeyError: 'x'")).sentence.endswith("'x'")
    assert first_cause([RankEnd(0, 0), RankEnd(1)]) is None


# --- which cause an exception shows -------------------------------------------------------------


@pytest.mark.parametrize(
    ("raised", "cause"),
    [
        ("ValueError: bad shape", "exception"),
        ("SyntaxError: invalid syntax (train.py, line 3)", "syntax_error"),
        ("KeyboardInterrupt: ", "interrupted"),
        ("OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 GiB.", "device_memory"),
        ("MemoryError: Unable to allocate 8.00 TiB for an array", "host_memory"),
        (
            "RuntimeError: [enforce fail at alloc_cpu.cpp:121] . DefaultCPUAllocator: can't "
            "allocate memory: you tried to allocate 4096 bytes. Error code 12",
            "host_memory",
        ),
        (
            "RuntimeError: DataLoader worker (pid 7) is killed by signal: Bus error. It is "
            "possible that dataloader's workers are out of shared memory.",
            "shared_memory",
        ),
        ("RuntimeError: DataLoader worker (pid(s) 7) exited unexpectedly", "data_loader"),
        ("OSError: [Errno 28] No space left on device: 'x.pt'", "disk_full"),
        ("OSError: [Errno 24] Too many open files: 'a'", "too_many_files"),
        ("PermissionError: [Errno 13] Permission denied: '/data'", "no_access"),
        ("FileNotFoundError: [Errno 2] No such file or directory: 'a.csv'", "missing_file"),
        (
            "ValueError: ProcessGroupNCCL is only supported with GPUs, no GPUs found!",
            "no_gpu",
        ),
        ("AcceleratorError: CUDA error: device-side assert triggered", "device_assert"),
        ("AcceleratorError: CUDA error: unspecified launch failure", "lost_gpu"),
        ("DistBackendError: NCCL error in: x.cpp:1, unhandled system error", "communication"),
        (
            "RuntimeError: Detected mismatch between collectives on ranks. Rank 0 is running",
            "collective_mismatch",
        ),
        (
            "RuntimeError: [unbound_buffer.cc:78] Timed out waiting 3000ms for recv operation",
            "collective_timeout",
        ),
        ("DistNetworkError: The client socket has failed to connect to [x]:1", "rendezvous"),
        (
            "DistNetworkError: The server socket has failed to listen on any local network "
            "address. port: 1, useIpv6: false, code: -98, name: EADDRINUSE",
            "port_taken",
        ),
        ("KeyError: 'DATA_ROOT'", "bad_environment"),
        ("KeyError: 'label'", "exception"),
    ],
)
def test_what_was_raised_shows_its_cause(raised: str, cause: str) -> None:
    kind, _, message = raised.partition(": ")
    assert cause_of(kind, message) == cause
    assert cause in CAUSES


@pytest.mark.parametrize(
    ("end", "code", "said"),
    [
        (
            End((RankEnd(0, 1, 9, raised=PEER), RankEnd(1, -9, 9, stuck="frozen"))),
            "frozen",
            "rank 1 was stopped by a signal after step 9, and was ended",
        ),
        (
            End(
                (RankEnd(0, 1, 9, raised=PEER), RankEnd(1, -9, 9, None, None, None, "hung", "a:3"))
            ),
            "hung",
            "rank 1 hung at a:3 after step 9, and was ended",
        ),
        (
            End((RankEnd(0, -9, 9, 1.0, 2.0),), oom_kills=1),
            "host_memory",
            "rank 0 was killed by SIGKILL, 1 s after step 9: the system, for lack of memory",
        ),
        (
            End((RankEnd(0, 0, 9, done_at=90.0), RankEnd(1, 1, 9, raised=PEER))),
            "left_early",
            "rank 1: RuntimeError: [gloo/tcp/pair.cc:547] Connection closed by peer [127.0.0.1], "
            "after step 9, while rank 0 was done already",
        ),
        (
            End((RankEnd(0, 1, raised=Raised("AttributeError", "no f", 1.0, stage="load")),)),
            "cannot_load",
            "rank 0: AttributeError: no f",
        ),
        (
            End((RankEnd(0, -7),)),
            "shared_memory",
            "rank 0 was killed by SIGBUS, before its first step",
        ),
        (
            End((RankEnd(0, 1, 9, raised=PEER), RankEnd(1, None, 8)), agent_signal=9),
            "launcher_killed",
            "the launcher of its ranks was killed by SIGKILL after step 9",
        ),
        (
            End((RankEnd(0), RankEnd(1)), agent_signal=9, oom_kills=1),
            "host_memory",
            "the launcher of its ranks was killed by SIGKILL, before any rank's first step: "
            "the system, for lack of memory",
        ),
        (
            End((RankEnd(0, 1, 9, raised=PEER), RankEnd(1, raised=bug())), agent_signal=9),
            "exception",
            "rank 1: ValueError: bad shape at train.py:12",
        ),
        (
            End((RankEnd(0, 2, raised=Raised("SystemExit", "2", 1.0)),)),
            "bad_arguments",
            "rank 0 ended itself with exit code 2",
        ),
    ],
)
def test_the_evidence_around_it_decides(end: End, code: str, said: str) -> None:
    cause = diagnose(end)
    assert (cause.code, cause.sentence) == (code, said)
    assert cause.hint == CAUSES[code].hint
