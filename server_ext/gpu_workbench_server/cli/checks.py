"""The doctor's checks: each looks at one thing and says what it found. Change nothing.

A check returns findings and may raise: then that is the finding. Heavy packages are asked for their
version, never imported (importing cudf without a GPU takes seconds and then fails).
"""

from __future__ import annotations

import os
import shutil
import socket
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from ..errors import BadConfiguration, NoDevices, WorkbenchError
from ..rapids_kernel import NotOffered, inspect
from ..services.policy_source import PolicySource
from ..settings import Settings
from . import outside

Level = Literal["ok", "note", "warning", "failure"]
DISTRIBUTION = "jupyterlab-gpu-workbench"
EXTENSION = "gpu_workbench_server"
_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Finding:
    """`note` needs nothing done, `warning` costs something, `failure` keeps it from working."""

    name: str
    level: Level
    message: str
    hint: str = ""


Check = Callable[[], Iterable[Finding]]


def findings(checks: dict[str, Check]) -> list[Finding]:
    """All of them; a check that fails itself is a warning, and the others go on."""
    found: list[Finding] = []
    for name, check in checks.items():
        try:
            found += check()
        except WorkbenchError as error:
            found.append(Finding(name, "failure", error.message, error.hint))
        except Exception as error:
            message = f"This could not be checked: {type(error).__name__}: {error}"
            found.append(Finding(name, "warning", message, "Please report it."))
    return found


def all_checks(read: Callable[[], Settings]) -> dict[str, Check]:
    """By the name that stands before what they find; `read` may raise `BadConfiguration`."""
    return {
        "Python": python,
        "GPUs": gpus,
        "processes": processes,
        "server extension": server_extension,
        "lab extension": lab_extension,
        "kernels": kernels,
        "Dask": dask,
        "training": training,
        "RAPIDS": rapids,
        "RAPIDS kernel": partial(rapids_kernel, read),
        "configuration": partial(configuration, read),
        "data directory": partial(directory, read),
        "store": partial(store, read),
        "ports": ports,
    }


def python() -> Iterable[Finding]:
    ours = f"Python {sys.version.split()[0]}, {DISTRIBUTION} {_version(DISTRIBUTION) or 'unknown'}"
    yield Finding("Python", "ok", f"{ours}, in {sys.prefix}.")


def gpus() -> Iterable[Finding]:
    """The driver's GPUs and their MIG instances, or why there are none."""
    try:
        seen = outside.real_gpus()
    except NoDevices as error:
        hint = "GPUs are simulated, everything else is real. For real ones: " + error.hint
        yield Finding("GPUs", "note", error.message, hint)
        return
    listed = ", ".join(f"{gpu.name} {gpu.model}" for gpu in seen)
    yield Finding("GPUs", "ok", f"The NVIDIA driver shows {listed}.")
    for gpu in seen:
        if gpu.health == "lost":
            hint = "See `nvidia-smi` and `dmesg | grep -i xid`; often only a reboot helps."
            yield Finding("GPUs", "warning", f"{gpu.name} is lost.", hint)
    cut = [gpu for gpu in seen if gpu.mig]
    for gpu in cut:
        profiles = ", ".join(one.profile for one in gpu.instances)
        if profiles:
            yield Finding("MIG", "ok", f"{gpu.name} is cut into {profiles}.")
        else:
            hint = "Create some as root, e.g. `nvidia-smi mig -cgi 3g.40gb,3g.40gb -C`."
            yield Finding("MIG", "warning", f"{gpu.name} is in MIG mode without instances.", hint)
    if not cut:
        hint = "For hard bounds between slices, an admin can switch MIG on: `nvidia-smi -mig 1`."
        yield Finding("MIG", "note", "No GPU is in MIG mode: slices are cooperative shares.", hint)


def processes() -> Iterable[Finding]:
    """Whether a lease's processes can be found again, whatever was killed."""
    if Path(f"/proc/{os.getpid()}/environ").is_file():
        yield Finding("processes", "ok", "Processes of leases can be found in /proc.")
    else:
        yield Finding(
            "processes",
            "failure",
            "There is no /proc: processes of leases could not be found again.",
            "Run on Linux, with /proc mounted.",
        )


def server_extension() -> Iterable[Finding]:
    from jupyter_core.paths import jupyter_config_path
    from jupyter_server.extension.config import ExtensionConfigManager

    manager: Any = ExtensionConfigManager(read_config_path=jupyter_config_path())
    enabled = manager.get_jpserver_extensions().get(EXTENSION)
    if enabled:
        yield Finding("server extension", "ok", "The Jupyter server loads it.")
        return
    what = "is disabled" if enabled is False else "is not known to the Jupyter server"
    yield Finding(
        "server extension",
        "failure",
        f"The server extension {what}.",
        f"Run `jupyter server extension enable {EXTENSION}`, or install {DISTRIBUTION} into the "
        "environment that Jupyter runs in.",
    )


def lab_extension() -> Iterable[Finding]:
    from jupyter_core.paths import jupyter_path
    from jupyterlab_server.config import get_federated_extensions, get_page_config

    folders = jupyter_path("labextensions")
    if DISTRIBUTION not in get_federated_extensions(folders):
        yield Finding(
            "lab extension",
            "failure",
            "JupyterLab does not find the GPU panel.",
            f"Install {DISTRIBUTION} into the environment that JupyterLab runs in.",
        )
        return
    disabled = get_page_config(folders).get("disabledExtensions", {})
    if any(name.split(":")[0] == DISTRIBUTION for name, off in _items(disabled) if off):
        hint = f"Run `jupyter labextension enable {DISTRIBUTION}`."
        yield Finding("lab extension", "failure", "The GPU panel is disabled.", hint)
        return
    yield Finding("lab extension", "ok", "JupyterLab finds the GPU panel.")


def kernels() -> Iterable[Finding]:
    from jupyter_client.kernelspec import KernelSpecManager

    name = "gpu-workbench-provisioner"
    found = metadata.entry_points(group="jupyter_client.kernel_provisioners", name=name)
    if not found:
        hint = f"Install {DISTRIBUTION} again in the environment that the Jupyter server runs in."
        yield Finding("kernels", "failure", f"The kernel provisioner {name} is missing.", hint)
        return
    specs = KernelSpecManager().find_kernel_specs()
    if "gpu-slice" in specs:
        yield Finding("kernels", "ok", 'The kernel "Python on a GPU slice" can be started.')
    else:
        hint = f"Install {DISTRIBUTION} again; `jupyter kernelspec list` must show gpu-slice."
        yield Finding("kernels", "failure", "The kernel spec gpu-slice is missing.", hint)


def dask() -> Iterable[Finding]:
    versions = [f"{name} {_version(name)}" for name in ("dask", "distributed") if _version(name)]
    if len(versions) == 2:
        yield Finding("Dask", "ok", f"{' and '.join(versions)}: clusters can be started.")
    else:
        hint = f"Install {DISTRIBUTION} again: it brings them."
        yield Finding("Dask", "failure", "dask or distributed is missing.", hint)


def training() -> Iterable[Finding]:
    torch = _version("torch")
    if torch is None:
        hint = f"pip install '{DISTRIBUTION}[train]' (on Linux some gigabytes, with CUDA)."
        yield Finding("training", "note", "torch is missing: gw.launch can't train.", hint)
    elif "cpu" in torch and _has_gpu():
        hint = "Install a build of torch for CUDA."
        yield Finding("training", "warning", f"torch {torch} can't use the GPUs here.", hint)
    else:
        yield Finding("training", "ok", f"torch {torch}: training runs can be launched.")


def rapids() -> Iterable[Finding]:
    """Wanted only where there is a GPU; for simulated slices plain Dask and pandas serve."""
    found = {
        name: version
        for name in ("dask-cuda", "cuda-bindings", "cudf-cu12", "cudf-cu13")
        if (version := _version(name))
    }
    if "dask-cuda" in found and "cuda-bindings" not in found:
        hint = "pip install cuda-bindings"
        yield Finding("RAPIDS", "warning", "dask-cuda does not import without cuda-bindings.", hint)
    elif found:
        listed = ", ".join(f"{name} {version}" for name, version in found.items())
        yield Finding("RAPIDS", "ok", f"{listed}.")
    elif _has_gpu():
        hint = f"pip install '{DISTRIBUTION}[gpu]', or [rapids-cu12] for cudf (some gigabytes)."
        message = "dask-cuda is missing: clusters won't spill from GPU memory."
        yield Finding("RAPIDS", "warning", message, hint)
    else:
        yield Finding("RAPIDS", "note", "dask-cuda and cudf are missing; no GPU here needs them.")


def rapids_kernel(read: Callable[[], Settings]) -> Iterable[Finding]:
    """Of another environment, where one is configured."""
    try:
        environment = read().rapids_environment
    except BadConfiguration:
        return  # said already
    if environment is None:
        return
    name = "RAPIDS kernel"
    try:
        found = inspect(environment)
    except NotOffered as error:
        hint = "Mend it, or unset GpuWorkbenchApp.rapids_environment."
        yield Finding(name, "warning", str(error), hint)
        return
    has = "with cudf" if found.cudf else "without cudf: its dataframes are pandas'"
    level: Level = "ok" if found.cudf else "warning"
    yield Finding(name, level, f"{environment} is offered as a kernel, {has}.")


def configuration(read: Callable[[], Settings]) -> Iterable[Finding]:
    """Whether settings and policy file say something that the server can use."""
    name = "configuration"
    settings = read()
    policy = PolicySource(settings).read()
    pools = ", ".join(pool.name for pool in policy.pools)
    said = settings.policy_file or "the settings"
    yield Finding(name, "ok", f"Pools and limits come from {said}; pools: {pools}.")


def directory(read: Callable[[], Settings]) -> Iterable[Finding]:
    """Whether the server could write where it keeps its state."""
    name = "data directory"
    try:
        path = read().data_dir
    except BadConfiguration:
        return  # said already
    there = next(one for one in (path, *path.absolute().parents) if one.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        hint = f"Make {there} writable, or set GpuWorkbenchApp.data_dir."
        yield Finding(name, "failure", f"{path} can't be written.", hint)
        return
    free = shutil.disk_usage(there).free
    if free < 200 * _MIB:
        message = f"{path} has {free // _MIB} MiB left: jobs and their logs need more."
        yield Finding(name, "warning", message, "Free some space, or set GpuWorkbenchApp.data_dir.")
        return
    kind = _file_system(there)
    if kind.startswith(("nfs", "cifs", "smb", "lustre", "fuse.sshfs")):
        message = f"{path} is on a network file system ({kind})."
        hint = "Set GpuWorkbenchApp.data_dir to a local disk: locks may be unsafe on that one."
        yield Finding(name, "warning", message, hint)
        return
    yield Finding(name, "ok", f"{path} can be written, {free >> 30} GiB free.")


def store(read: Callable[[], Settings]) -> Iterable[Finding]:
    try:
        settings = read()
    except BadConfiguration:
        return  # said already
    if outside.missing_store(settings):
        yield Finding("store", "note", "There is no store yet: the server's first start makes it.")
        return
    with outside.opened_store(settings) as opened:
        snapshot = opened.load()
        run = _counted(sum(lease.state != "ended" for lease in snapshot.leases), "lease", "run")
        wait = _counted(len(snapshot.requests), "request", "wait")
        message = f"{opened.name} can be read: {run}, {wait}."
        yield Finding("store", "ok", message)


def ports() -> Iterable[Finding]:
    """Clusters and training runs listen on free ports of this machine only."""
    try:
        with socket.socket() as one, socket.socket() as two:
            for listener in (one, two):
                listener.bind(("127.0.0.1", 0))
                listener.listen(1)
    except OSError as error:
        hint = "Clusters and training runs need free ports on the loopback interface."
        yield Finding("ports", "failure", f"Nothing can listen on 127.0.0.1: {error}.", hint)
        return
    yield Finding("ports", "ok", "Free ports on 127.0.0.1 for clusters and training runs.")


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _counted(number: int, noun: str, verb: str) -> str:
    """ "1 lease runs", "2 leases run"."""
    return f"{number} {noun} {verb}s" if number == 1 else f"{number} {noun}s {verb}"


def _has_gpu() -> bool:
    try:
        return bool(outside.real_gpus())
    except NoDevices:
        return False


def _items(disabled: object) -> Iterable[tuple[str, bool]]:
    """JupyterLab writes a list or an object."""
    if isinstance(disabled, dict):
        return [(str(name), bool(off)) for name, off in disabled.items()]
    return [(str(name), True) for name in disabled] if isinstance(disabled, list) else []


def _file_system(path: Path) -> str:
    """Type of the file system that a path is on, e.g. "ext4"; empty where it is unknown."""
    import psutil

    mounted = {Path(one.mountpoint): one.fstype for one in psutil.disk_partitions(all=True)}
    resolved = path.resolve()
    return next((mounted[one] for one in (resolved, *resolved.parents) if one in mounted), "")
