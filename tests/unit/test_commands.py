"""A launcher's line from somebody's notes becomes a job, or says what to leave out."""

from __future__ import annotations

import pytest

from gpu_workbench.commands import Command, read_command
from gpu_workbench_server.domain.jobs import placing_flags


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("train.py", Command("torch", [], "train.py", ["-x"])),
        ("my train.py", Command("torch", [], "my train.py", ["-x"])),
        ("it's.py", Command("torch", [], "it's.py", ["-x"])),
        ("python train.py --a 1", Command("torch", [], "train.py", ["--a", "1", "-x"])),
        ("torchrun train.py", Command("torch", [], "train.py", ["-x"])),
        (
            "accelerate launch --mixed_precision bf16 'a b/train.py' --n 3",
            Command(
                "accelerate", ["--mixed_precision", "bf16"], "a b/train.py", ["--n", "3", "-x"]
            ),
        ),
        ("mpirun --tag-output python a.py", Command("mpi", ["--tag-output"], "a.py", ["-x"])),
        ("mpiexec a.py", Command("mpi", [], "a.py", ["-x"])),
    ],
)
def test_a_line_is_taken_apart(line: str, command: Command) -> None:
    assert read_command(line, ["-x"]) == command


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("torchrun --nproc-per-node=2 train.py", "ranks="),
        ("accelerate launch train", "no script"),
    ],
)
def test_what_is_no_job_says_what_to_do(line: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read_command(line)


def test_flags_that_place_the_ranks_are_the_leases_to_decide() -> None:
    placing = ["--num_processes", "--nproc-per-node=2", "-np", "--main_process_port", "--hostfile"]
    others = ["--mixed_precision", "bf16", "--use_fsdp", "--tag-output", "2", "--nccl"]
    assert placing_flags([*placing, *others]) == placing
