"""What is asked of every GPU again and again: NVML's functions past pynvml's wrappers.

A wrapper makes its buffers anew at each call and reads each field of a structure in Python; at
twice a second, of every GPU, that was most of what sampling cost. A query is asked with
`Handle.read` into memory that was made once. Layouts are those of `nvml.h`. Knows no GPU and no
lease.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from struct import Struct
from typing import Any, NamedTuple

import pynvml


class Buffer(NamedTuple):
    """Where a function answers, and what it is called with after the device."""

    answer: Any
    arguments: tuple[Any, ...]


class Query:
    """A function, its answer's type, and what it is `given` before. To be asked by one lane only.

    `outs`: the answer is an array, each of whose first elements is an argument of its own.
    """

    __slots__ = ("_answer", "_given", "_outs", "name")

    def __init__(self, name: str, answer: Callable[[], Any], *given: int, outs: int = 1) -> None:
        self.name = name
        self._answer = answer
        self._given = given
        self._outs = outs

    def buffer(self) -> Buffer:
        answer = self._answer()
        outs = (ctypes.byref(answer, at * _INT) for at in range(self._outs))
        return Buffer(answer, (*self._given, *outs))


_INT = ctypes.sizeof(ctypes.c_uint)
_Two = ctypes.c_uint * 2


class _Memory(ctypes.Structure):
    """nvmlMemory_t"""

    _fields_ = [(name, ctypes.c_ulonglong) for name in ("total", "free", "used")]


class _Memory2(ctypes.Structure):
    """nvmlMemory_v2_t"""

    _fields_ = [
        ("version", ctypes.c_uint),
        *((name, ctypes.c_ulonglong) for name in ("total", "reserved", "free", "used")),
    ]


# --- the fast lane ------------------------------------------------------------------------------

RATES = Query("nvmlDeviceGetUtilizationRates", _Two)
"""Percent: the GPU's, and its memory's."""
POWER = Query("nvmlDeviceGetPowerUsage", ctypes.c_uint)
"""Milliwatts."""
TEMPERATURE = Query("nvmlDeviceGetTemperature", ctypes.c_uint, pynvml.NVML_TEMPERATURE_GPU)
MEMORY = Query("nvmlDeviceGetMemoryInfo_v2", lambda: _Memory2(pynvml.nvmlMemory_v2))
"""Tells what the driver reserves apart from what is used."""
MEMORY_1 = Query("nvmlDeviceGetMemoryInfo", _Memory)

# --- the slow lane ------------------------------------------------------------------------------

SM_CLOCK = Query("nvmlDeviceGetClockInfo", ctypes.c_uint, pynvml.NVML_CLOCK_SM)
MEMORY_CLOCK = Query("nvmlDeviceGetClockInfo", ctypes.c_uint, pynvml.NVML_CLOCK_MEM)
"""MHz."""
CLOCK_REASONS = Query("nvmlDeviceGetCurrentClocksEventReasons", ctypes.c_ulonglong)
CLOCK_REASONS_1 = Query("nvmlDeviceGetCurrentClocksThrottleReasons", ctypes.c_ulonglong)
"""A mask; drivers from before the reasons were called events know this one."""
ENCODER = Query("nvmlDeviceGetEncoderUtilization", _Two, outs=2)
DECODER = Query("nvmlDeviceGetDecoderUtilization", _Two, outs=2)
"""Percent, and over how many microseconds."""
MIG_MODE = Query("nvmlDeviceGetMigMode", _Two, outs=2)
"""The current one, and the one after the next reset."""

_FIELD = Struct("=IIqqIIQ")
"""nvmlFieldValue_t: field, scope, time, latency, type of the value, return code, value."""
_LONGS = (pynvml.NVML_VALUE_TYPE_UNSIGNED_LONG_LONG, pynvml.NVML_VALUE_TYPE_UNSIGNED_LONG)


class FieldQuery(Query):
    """Several fields at once; each is a field's number, or that and a scope."""

    __slots__ = ("_asked",)

    def __init__(self, *fields: int | tuple[int, int]) -> None:
        asked = [(one, 0) if isinstance(one, int) else one for one in fields]
        self._asked = b"".join(_FIELD.pack(*one, 0, 0, 0, 0, 0) for one in asked)
        super().__init__("nvmlDeviceGetFieldValues", self._buffer, len(asked))

    def _buffer(self) -> Any:
        return ctypes.create_string_buffer(self._asked, len(self._asked))


def told_fields(answer: Any) -> Iterator[tuple[int, int, bool]]:
    """Field, value and whether it has 64 bits, of each that was told as a whole number."""
    for field, _, _, _, kind, code, value in _FIELD.iter_unpack(answer):
        if code != pynvml.NVML_SUCCESS:
            continue
        if kind in _LONGS:
            yield field, value, True
        elif kind == pynvml.NVML_VALUE_TYPE_UNSIGNED_INT:
            yield field, value & 0xFFFF_FFFF, False
