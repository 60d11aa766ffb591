"""The NVML library itself: loaded, started, and asked so that no answer is fatal.

The only module that may meet pynvml's exceptions. Knows no GPU and no lease.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pynvml

from ..errors import NoDevices
from .nvml_queries import Buffer, Query

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
GONE_CODES = frozenset(
    {
        pynvml.NVML_ERROR_UNINITIALIZED,
        pynvml.NVML_ERROR_DRIVER_NOT_LOADED,
        pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH,
    }
)
NEVER_CODES = frozenset(
    {
        pynvml.NVML_ERROR_NOT_SUPPORTED,
        pynvml.NVML_ERROR_NO_PERMISSION,
        pynvml.NVML_ERROR_FUNCTION_NOT_FOUND,
        pynvml.NVML_ERROR_ARGUMENT_VERSION_MISMATCH,
    }
)
"""Answers that stay the same for as long as the driver runs and MIG is as it is."""


class GpuLost(Exception):
    """The GPU has fallen off the bus, or answers nothing until it is reset."""


class DriverGone(NoDevices):
    """The driver went away, or was loaded anew, under our connection to it."""


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
        with suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()
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
    Raises `DriverGone` where nobody answers any more.
    """
    try:
        return function(*arguments)
    except pynvml.NVMLError as error:
        code_of(error)
        return None


def code_of(error: pynvml.NVMLError) -> int:
    """NVML's code; raises `GpuLost` or `DriverGone` where it means one of these."""
    code = getattr(error, "value", pynvml.NVML_ERROR_UNKNOWN)
    if code in LOST_CODES:
        raise GpuLost(str(error)) from error
    if code in GONE_CODES:
        known = _no_devices(error)
        raise DriverGone(known.message, known.hint) from error
    return int(code)


class Handle:
    """A GPU or MIG instance as NVML knows it; remembers what it does not tell.

    Asked twice a second, so a function that it does not support is not called again. `failed` is
    the last error of another kind (the driver stumbled); whoever looks clears it before.
    """

    def __init__(self, raw: Any) -> None:
        self.raw = raw
        self.failed = ""
        self._never: set[object] = set()
        self._buffers: dict[Query, Buffer] = {}

    def forget(self) -> None:
        """Another driver may tell more."""
        self._never.clear()

    def ask(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """As `ask`, with this handle as the first argument."""
        key = (function.__name__, *(one for one in arguments if isinstance(one, int)))
        if key in self._never:
            return None
        try:
            return function(self.raw, *arguments)
        except pynvml.NVMLError as error:
            self._refuse(key, error)
            return None

    def read(self, query: Query) -> Any:
        """As `ask`; the answer is as it is until the same is read again."""
        if query in self._never:
            return None
        buffer = self._buffers.get(query)
        if buffer is None:
            buffer = self._buffers[query] = query.buffer()
        try:
            code = pynvml._nvmlGetFunctionPointer(query.name)(self.raw, *buffer.arguments)
            if code == pynvml.NVML_SUCCESS:
                return buffer.answer
            raise pynvml.NVMLError(code)
        except pynvml.NVMLError as error:
            self._refuse(query, error)
            return None

    def ask_list(self, function: Callable[..., Any], *arguments: Any) -> list[Any] | None:
        """As `ask`, for a list: "not found" is an empty one, None is "the device does not tell"."""
        key = (function.__name__,)
        if key in self._never:
            return None
        try:
            return list(function(self.raw, *arguments))
        except pynvml.NVMLError as error:
            code = code_of(error)
            # pynvml raises "success" where the driver answers a list with nothing in it.
            if code in (pynvml.NVML_SUCCESS, pynvml.NVML_ERROR_NOT_FOUND):
                return []
            if code in NEVER_CODES:
                self._never.add(key)
            return None

    def _refuse(self, key: object, error: pynvml.NVMLError) -> None:
        if code_of(error) in NEVER_CODES:
            self._never.add(key)
        else:
            self.failed = str(error)


def _no_devices(error: Exception) -> NoDevices:
    code = getattr(error, "value", None)
    if isinstance(error, OSError):
        code = pynvml.NVML_ERROR_LIBRARY_NOT_FOUND
    message, hint = _TROUBLE.get(
        code, (f"The NVIDIA driver does not start: {error}.", "See whether `nvidia-smi` works.")
    )
    return NoDevices(message, hint)
