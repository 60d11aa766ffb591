"""What other launchers than `torchrun` do for a rank, told as an environment or a command line.

A script for `accelerate launch` is a torchrun script plus variables that its flags become:
Accelerate's own code makes them, and torch's agent starts the ranks as for any other job. An MPI
program is started by `mpirun`; its variables are translated into torch's, so that a rank is a rank.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Mapping, Sequence

_PLACING = ("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "MASTER_ADDR", "MASTER_PORT")
"""Accelerate sets these too; here they are the slice's and the job's."""

_MPI_NAMES = {
    "RANK": ("OMPI_COMM_WORLD_RANK", "PMI_RANK"),
    "LOCAL_RANK": ("OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID", "PMI_RANK"),
    "WORLD_SIZE": ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE"),
    "LOCAL_WORLD_SIZE": ("OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS", "PMI_SIZE"),
}


def accelerate_environment(flags: Sequence[str], ranks: int, simulated: bool) -> dict[str, str]:
    """What `accelerate launch FLAGS` would put into a rank's environment beyond torchrun's.

    Raises what Accelerate raises for flags that it refuses; `ImportError` where it isn't installed.
    """
    from accelerate.commands.launch import _validate_launch_command, launch_command_parser
    from accelerate.utils.launch import prepare_deepspeed_cmd_env, prepare_multi_gpu_env

    args = launch_command_parser().parse_args(
        [*flags, "--num_processes", str(ranks), "--num_machines", "1", "script.py"]
    )
    args.cpu = args.cpu or (simulated and not (args.use_fsdp or args.use_deepspeed))
    args, _, _ = _validate_launch_command(args)
    args.num_processes, args.num_machines, args.main_process_port = ranks, 1, 0
    if args.use_deepspeed:
        _, made = prepare_deepspeed_cmd_env(args)
    else:
        made = prepare_multi_gpu_env(args)
        if args.cpu:
            made["ACCELERATE_USE_CPU"] = "true"
    return {
        name: value
        for name, value in made.items()
        if os.environ.get(name) != value and name not in _PLACING
    }


def mpi_command(ranks: int, flags: Sequence[str], program: Sequence[str]) -> list[str]:
    """Open MPI's `mpirun` for ranks on this machine, on loopback only.

    Raises `FileNotFoundError` where there is none.
    """
    mpirun = shutil.which("mpirun")
    if mpirun is None:
        raise FileNotFoundError("there is no mpirun on PATH; Debian's package is openmpi-bin")
    loopback = ("oob_tcp_if_include", "lo"), ("btl_tcp_if_include", "lo"), ("btl", "self,vader,tcp")
    return [
        mpirun,
        *("--oversubscribe", "--bind-to", "none", "--np", str(ranks)),
        *(["--allow-run-as-root"] if os.geteuid() == 0 else []),
        *(word for name, value in loopback for word in ("--mca", name, value)),
        *flags,
        *program,
    ]


def mpi_failures(said: str) -> list[dict[str, int]]:
    """The rank that mpirun saw killed, as torch's agent tells its failures; it says it in words."""
    found = re.findall(r"process rank (\d+) .*exited on signal (\d+)", said)
    return [{"rank": int(rank), "exit_code": -int(number)} for rank, number in found]


def torch_names(environment: Mapping[str, str]) -> dict[str, str]:
    """torch's names for where an MPI launcher put this process; empty under torch's own agent."""
    if "RANK" in environment:
        return {}
    found = {
        name: next((environment[one] for one in theirs if one in environment), None)
        for name, theirs in _MPI_NAMES.items()
    }
    return {name: value for name, value in found.items() if value is not None}


def rank_program(directory: str) -> list[str]:
    """The command of one rank."""
    return [sys.executable, "-m", "gpu_workbench.holders.rank", directory]
