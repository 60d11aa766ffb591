"""The NVML library itself: loaded, started, and asked so that no answer is fatal.

The only module that may meet pynvml's exceptions. Knows no GPU and no lease.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pynvml

from ..errors import NoDevices

_REINSTALL = "Install it, or take simulated GPUs (`--GpuWorkbenchApp.devices=simulated`)."
_TROUBLE = {
    pynvml.NVML_ERROR_LIBRARY_NOT_FOUND: (
        "There is no NVIDIA driver on this machine (libnvidia-ml.so.1 was not found).",
        _REINSTALL + " In a container: start it with the GPUs (docker run --gpus all).",
    ),
    pynvml.NVML_ERROR_FUNCTION_NOT_FOUND: (
        "The NVIDIA driver is too old: its libnvidia-ml.so.1 lacks a function.",
        "Update the NVIDIA driver.",
    ),
    pynvml.NVML_ERROR_DRIVER_NOT_LOADED: (
        "The NVIDIA driver is installed but not loaded (NVML error 9).",
        "Load it (modprobe nvidia), or reboot; `dmesg | grep -i nvrm` says why it is not.",
    ),
    pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH: (
        "The NVIDIA driver was updated while its old kernel module is loaded (NVML error 18).",
        "Reboot, or unload the nvidia modules and load them again.",
    ),
    pynvml.NVML_ERROR_NO_PERMISSION: (
        "The NVIDIA driver refuses this user (NVML error 4).",
        "Give the user access to /dev/nvidia* (often by the group video or render).",
    ),
    pynvml.NVML_ERROR_UNKNOWN: (
        "The NVIDIA driver answers with an unknown error (NVML error 999).",
        "See whether `nvidia-smi` works; often the driver needs a reboot after an update.",
    ),
}
LOST_CODES = frozenset({pynvml.NVML_ERROR_GPU_IS_LOST, pynvml.NVML_ERROR_RESET_REQUIRED})


class GpuLost(Exception):
    """The GPU has fallen off the bus, or answers nothing until it is reset."""


class NvmlLibrary:
    """One start of NVML. `path` names another library file than the system's."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._started = False
        self._replaced: Any = None

    def start(self) -> None:
        """Idempotent; `NoDevices` where there is no driver, tried again at the next call."""
        if self._started:
            return
        try:
            if self._path is not None:
                self._load(self._path)
            pynvml.nvmlInit()
        except (pynvml.NVMLError, OSError) as error:
            self._unload()
            raise _no_devices(error) from error
        self._started = True

    def stop(self) -> None:
        if not self._started:
            return
        self._started = False
        ask(pynvml.nvmlShutdown)
        self._unload()

    def _load(self, path: Path) -> None:
        library = ctypes.CDLL(str(path))
        self._replaced = (pynvml.nvmlLib,)
        pynvml.nvmlLib = library
        pynvml._nvmlGetFunctionPointer_cache.clear()

    def _unload(self) -> None:
        """Give pynvml back the library it had: nobody else meets ours by accident."""
        if self._replaced is not None:
            (pynvml.nvmlLib,) = self._replaced
            pynvml._nvmlGetFunctionPointer_cache.clear()
            self._replaced = None


def ask(function: Callable[..., Any], *arguments: Any) -> Any:
    """The answer, or None where the device does not tell; `GpuLost` where it is gone.

    Every metric is optional: not supported, not permitted and not known to this driver are alike.
    """
    try:
        return function(*arguments)
    except pynvml.NVMLError as error:
        if getattr(error, "value", None) in LOST_CODES:
            raise GpuLost(str(error)) from error
        return None


def ask_list(function: Callable[..., Any], *arguments: Any) -> list[Any] | None:
    """As `ask`, for a list: "not found" is an empty one, None is "the device does not tell"."""
    try:
        return list(function(*arguments))
    except pynvml.NVMLError as error:
        code = getattr(error, "value", None)
        if code in LOST_CODES:
            raise GpuLost(str(error)) from error
        # pynvml raises "success" where the driver answers a process list with nothing in it.
        return [] if code in (pynvml.NVML_SUCCESS, pynvml.NVML_ERROR_NOT_FOUND) else None


def _no_devices(error: Exception) -> NoDevices:
    code = getattr(error, "value", None)
    if isinstance(error, OSError):
        code = pynvml.NVML_ERROR_LIBRARY_NOT_FOUND
    message, hint = _TROUBLE.get(
        code, (f"The NVIDIA driver does not start: {error}.", "See whether `nvidia-smi` works.")
    )
    return NoDevices(message, hint)
