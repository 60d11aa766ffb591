"""Why training fails: the closed list of causes, and how each shows in what a rank raised. Pure.

The patterns are of messages seen from torch 2.13 (gloo, NCCL, c10d's store), Python and the C
library. What matches none is the plain `exception`, which is never wrong.
"""

from __future__ import annotations

import re
from typing import NamedTuple


class Kind(NamedTuple):
    """A cause as people meet it."""

    meaning: str
    hint: str
    """What to do about it; may be empty where only the traceback can tell."""


CAUSES: dict[str, Kind] = {
    "exception": Kind("The code of a rank raised.", ""),
    "syntax_error": Kind("The script can't be compiled.", "Correct the line; nothing has run."),
    "missing_module": Kind("A module is not installed where the job runs.", ""),
    "missing_torch": Kind("torch is not installed where the job runs.", ""),
    "cannot_load": Kind(
        "What was sent can't be rebuilt on a rank.",
        "Define it in the notebook or in an installed package, and use the kernel's own Python.",
    ),
    "exit_code": Kind("A rank ended itself by an exit code.", "Its last lines say why, if at all."),
    "bad_arguments": Kind(
        "The script refused its arguments.", "Its usage is at the end of the rank's err log."
    ),
    "interrupted": Kind("A rank got an interrupt.", ""),
    "device_memory": Kind(
        "A slice's memory is full.",
        "A smaller batch, gradient accumulation, or a larger slice per rank.",
    ),
    "host_memory": Kind(
        "The machine's memory, or the job's share of it, is full.",
        "Fewer data loader workers or ranks, smaller batches, or data read in pieces.",
    ),
    "shared_memory": Kind(
        "/dev/shm is full: data loader workers pass batches through it.",
        "DataLoader(num_workers=0), or a larger /dev/shm (`--shm-size` of a container).",
    ),
    "data_loader": Kind(
        "A data loader's worker died.",
        "Run it with num_workers=0 once: the worker's own error shows then.",
    ),
    "disk_full": Kind("No space is left on a disk.", "Make room, or write somewhere else."),
    "no_access": Kind("A file may not be read or written.", "Check its owner and mode."),
    "missing_file": Kind(
        "A file is not there.", "Paths are relative to the directory that the job started in."
    ),
    "too_many_files": Kind("Too many files are open.", "Raise `ulimit -n`, or use fewer workers."),
    "no_gpu": Kind(
        "The code wants a GPU that its slice doesn't have.",
        'On simulated slices use the CPU and init_process_group("gloo"); on real ones each rank '
        "sees one GPU, number 0.",
    ),
    "lost_gpu": Kind(
        "The GPU failed.", "Tell an admin: `nvidia-smi` and the kernel's log name the XID."
    ),
    "device_assert": Kind(
        "A kernel on the GPU failed an assertion, often an index out of range.",
        "Run once with CUDA_LAUNCH_BLOCKING=1, or on the CPU, to see the line.",
    ),
    "communication": Kind(
        "The ranks' communication library failed.", "Run once with NCCL_DEBUG=INFO."
    ),
    "collective_timeout": Kind(
        "Ranks waited for others in a collective until their time was up.",
        "Some rank took another way through the code, or was slower than the time-out.",
    ),
    "collective_mismatch": Kind(
        "Ranks called different collectives, or with different shapes.",
        "Every rank has to make the same calls in the same order, also in the last batch.",
    ),
    "left_early": Kind(
        "A rank was done while others still waited for it.",
        "Give every rank the same number of steps (drop_last=True, or torch's Join).",
    ),
    "rendezvous": Kind(
        "The ranks did not find each other.",
        "Leave MASTER_ADDR, MASTER_PORT and init_method to the job: env:// is right.",
    ),
    "port_taken": Kind(
        "A port is in use already.", "Use port 0, or leave MASTER_PORT to the job."
    ),
    "bad_environment": Kind(
        "A variable that the code wants is not set.", "Pass it: gw.launch(…, env={…})."
    ),
    "killed": Kind(
        "A rank was killed from outside.",
        "Often the system, for lack of memory: see its memory curve, and the kernel's log.",
    ),
    "crashed": Kind(
        "A rank crashed in native code.", "Run it with PYTHONFAULTHANDLER=1 to see the line."
    ),
    "aborted": Kind("A library ended a rank by abort().", "Its last lines say why."),
    "frozen": Kind(
        "A rank stood still while it should run.", "Something stopped it by a signal: ask who."
    ),
    "hung": Kind(
        "No rank made a step any more.", "The ranks' stacks were kept beside their logs."
    ),
    "not_started": Kind("The ranks could not be started.", ""),
    "not_granted": Kind("Its slices could not be had.", "Ask for fewer or smaller slices."),
    "lease_ended": Kind(
        "Its lease ended while it ran.", "Ask for more hours, extend in time, or save checkpoints."
    ),
    "launcher_killed": Kind(
        "The process that starts the ranks was killed, and they with it.",
        "Often the system, for lack of memory: see the kernel's log. Resume from a checkpoint.",
    ),
    "supervisor_killed": Kind(
        "The job's own supervisor was killed.", "Often the system, for lack of memory."
    ),
}  # fmt: skip

_SHOWS: tuple[tuple[str, str], ...] = (
    # Order matters: the special before the general.
    ("interrupted", r"^KeyboardInterrupt"),
    ("syntax_error", r"^(SyntaxError|IndentationError|TabError)\b"),
    ("device_memory", r"OutOfMemoryError|CUDA out of memory|CUDNN_STATUS_ALLOC_FAILED"
                      r"|cudaErrorMemoryAllocation|std::bad_alloc: out_of_memory"),
    ("shared_memory", r"DataLoader worker .*(Bus error|shared memory)|unable to (open|allocate) "
                      r"shared memory|torch_\d+_\d+_\d+.*No space left"),
    ("data_loader", r"DataLoader worker"),
    ("host_memory", r"^MemoryError|can't allocate memory|Cannot allocate memory|Errno 12\b"),
    ("disk_full", r"Errno 28\b|No space left on device|Disk quota exceeded"
                  r"|PytorchStreamWriter failed writing"),
    ("too_many_files", r"Errno 24\b|Too many open files"),
    ("port_taken", r"EADDRINUSE|[Aa]ddress already in use"),
    ("device_assert", r"device-side assert"),
    ("lost_gpu", r"uncorrectable (NVLink|ECC)|GPU has fallen off|unspecified launch failure"
                 r"|cudaErrorDevicesUnavailable|Xid"),
    ("no_gpu", r"ProcessGroupNCCL is only supported with GPUs|No CUDA GPUs are available"
               r"|have NCCL built in|not compiled with CUDA|invalid device ordinal|no NVIDIA driver"
               r"|CUDA-capable device|backend.*nccl.*not (available|built)"),
    ("collective_mismatch", r"Detected mismatch between collectives|CollectiveFingerPrint"
                            r"|op\.preamble\.length <= op\.nbytes"),
    ("collective_timeout", r"Watchdog caught collective|Timed out waiting \d+ ?ms for (recv|send)"
                           r"|monitoredBarrier|failed to pass monitoredBarrier"),
    ("rendezvous", r"DistNetworkError|DistStoreError|RendezvousError|RendezvousTimeout"
                   r"|failed to connect|[Tt]imed out after \d+ seconds waiting for clients"
                   r"|wait timeout after"),
    ("communication", r"NCCL error|ncclSystemError|ncclUnhandled|DistBackendError"),
    ("bad_environment", r"environment variable \w+ expected|^KeyError: '[A-Z][A-Z0-9_]{2,}'"),
    ("no_access", r"^PermissionError"),
    ("missing_file", r"^(FileNotFoundError|NotADirectoryError)"),
)  # fmt: skip
_PATTERNS = tuple((code, re.compile(pattern)) for code, pattern in _SHOWS)


def cause_of(type_name: str, message: str) -> str:
    """The cause that an exception shows, by its type's name and its message."""
    text = f"{type_name}: {message}"
    return next((code for code, pattern in _PATTERNS if pattern.search(text)), "exception")
