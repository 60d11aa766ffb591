"""What a rank adds to the user's code without touching it, each only once its library is imported.

- a beat at every optimizer step (`torch.optim`), so that a frozen rank shows, and the moment at
  which a backward pass begins, so that a slow one does;
- rank 0's rendezvous store listens on loopback only (torch's own listens on every interface);
- gloo takes NCCL's place where that can't work on the rank's slice (`pinning`), and its groups live
  as long as the process;
- what Transformers' Trainer logs, whatever it reports to;
- TensorBoard's event files and Lightning's `metrics.csv` that the script opens, noted so that the
  supervisor can follow them.

It imports no library itself: a script that needs none of them pays nothing.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import socket
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from ..importing import after_import
from ..protocol import RUN_ENV
from .metrics import RunLog, current
from .pinning import BACKEND_ENV

METRIC_FILES = "metric-files.txt"
"""In a rank's directory: paths of the loggers' files that it opened, one a line."""

_CSV = "metrics.csv"
_LOOPBACK = "127.0.0.1"


def install(directory: Path, log: RunLog) -> None:
    """Arm all of them, once, before the user's code runs."""

    def beat(torch_optimizer: ModuleType) -> None:
        torch_optimizer.register_optimizer_step_post_hook(
            lambda optimizer, args, kwargs: log.stepped(optimizer)
        )

    calls: dict[str, Callable[[ModuleType], None]] = {
        "torch.optim.optimizer": beat,
        "torch.autograd": lambda autograd: tell_backward(autograd, log),
        "torch.distributed.rendezvous": listen_on_loopback,
        "torch.distributed.distributed_c10d": mend_groups,
        "transformers.trainer": lambda trainer: log_what_the_trainer_logs(trainer, log),
    }
    after_import({name: _harmless(call) for name, call in calls.items()})
    note_metric_files(directory / METRIC_FILES)


def install_here() -> None:
    """The same in a child of a rank, the kernel of its notebook say."""
    log = current()
    if log is not None:
        install(Path(os.environ[RUN_ENV]), log)


def tell_backward(autograd: ModuleType, log: RunLog) -> None:
    """`loss.backward()` calls this function by its name in the module."""
    backward = autograd.backward

    @functools.wraps(backward)
    def told(*args: Any, **kwargs: Any) -> Any:
        log.backward()
        return backward(*args, **kwargs)

    autograd.backward = told  # type: ignore[attr-defined]


def log_what_the_trainer_logs(trainer: ModuleType, log: RunLog) -> None:
    """One callback more for each Trainer; the names are those that TensorBoard gets from it."""
    integrations: Any = import_module("transformers.integrations")

    class Told(trainer.TrainerCallback):  # type: ignore[misc, name-defined]
        def on_log(
            self, args: Any, state: Any, control: Any, logs: Any = None, **more: Any
        ) -> None:
            if state.is_world_process_zero:
                plain = {name: one for name, one in (logs or {}).items() if _is_number(one)}
                log.note(state.global_step, integrations.rewrite_logs(plain))

    trainer.DEFAULT_CALLBACKS.append(Told)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float)


def mend_groups(c10d: ModuleType) -> None:
    keep_gloo(c10d)
    use_what_works(c10d)


def keep_gloo(c10d: ModuleType) -> None:
    """A gloo group is never freed: its end, at the script's last line, hangs now and then.

    The destructor joins gloo's threads while it holds the GIL, and such a thread needs the GIL to
    let go of the last collective's tensors (torch 2.13; seen every other run where a script
    ends right after an `all_gather` and a DDP model is the group's last owner).
    """
    register = getattr(c10d, "_register_process_group", None)
    if register is None:
        return

    def kept(name: str, group: Any) -> Any:
        if "gloo" in str(c10d._world.pg_map[group][0]):
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(group))
        return register(name, group)

    c10d._register_process_group = kept  # type: ignore[attr-defined]


def use_what_works(c10d: ModuleType) -> None:
    """Where the rank's slice is none for NCCL, a script that asks for it gets gloo, and is told.

    `torch.distributed` has the function under its own name, too, once it is imported.
    """
    backend_here = os.environ.get(BACKEND_ENV)
    if backend_here is None:
        return
    init = c10d.init_process_group

    @functools.wraps(init)
    def init_process_group(backend: str | None = None, *args: Any, **kwargs: Any) -> Any:
        if backend is None or "nccl" in str(backend):
            said = f"gpu-workbench: {backend_here} instead of NCCL, which can't work on this slice"
            print(said, file=sys.stderr, flush=True)
            backend = backend_here
            kwargs.pop("device_id", None)  # would bind the group to a device, NCCL's way
        return init(backend, *args, **kwargs)

    for module in (c10d, sys.modules.get("torch.distributed")):
        if getattr(module, "init_process_group", None) is init:
            module.init_process_group = init_process_group  # type: ignore[union-attr]


def listen_on_loopback(rendezvous: ModuleType) -> None:
    """Give a store that rank 0 serves on 127.0.0.1 a socket bound there, and only there."""
    store_class = rendezvous.TCPStore

    def tcp_store(*args: Any, **kwargs: Any) -> Any:
        if kwargs.get("is_master") and kwargs.get("host_name") == _LOOPBACK:
            with contextlib.suppress(OSError):  # the port is taken: let torch say so itself
                listener = socket.create_server((_LOOPBACK, int(kwargs["port"])), backlog=1024)
                kwargs["master_listen_fd"] = listener.detach()
        return store_class(*args, **kwargs)

    rendezvous.TCPStore = tcp_store  # type: ignore[attr-defined]


def note_metric_files(note: Path) -> None:
    """Write down each loggers' file that this process opens for writing, wherever it lies."""
    seen: set[str] = set()

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if event != "open" or not isinstance(args[0], str | bytes):
            return
        path, mode, flags = os.fsdecode(args[0]), args[1], args[2]
        name = os.path.basename(path)
        if "tfevents" not in name and name != _CSV:
            return
        path = os.path.abspath(path)
        writes = (
            flags & (os.O_WRONLY | os.O_RDWR) if isinstance(flags, int) else "r" not in str(mode)
        )
        if writes and path not in seen:
            seen.add(path)
            with contextlib.suppress(OSError), note.open("a", encoding="utf-8") as file:
                file.write(path + "\n")

    sys.addaudithook(hook)


def _harmless(call: Callable[[ModuleType], None]) -> Callable[[ModuleType], None]:
    """What we add must never cost a run: another torch may have other names."""

    def attempt(module: ModuleType) -> None:
        with contextlib.suppress(AttributeError, TypeError, ImportError):
            call(module)

    return attempt


def noted_files(run: Path) -> list[Path]:
    """The loggers' files that a rank opened."""
    try:
        return [Path(line) for line in (run / METRIC_FILES).read_text("utf-8").splitlines()]
    except (OSError, UnicodeDecodeError):
        return []
