"""What a cell did to its slice: the work behind `%%gpu_profile`.

A thread asks the server for its newest sample at the sampler's rate while the cell runs. Which
lease counts is read from the environment at each look, so it works on a slice's kernel, after
`gw.attach` or `gw.request`, and with `%%gpu` above or below. It never fails a cell: what goes wrong
here is said in the line under it.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from dataclasses import dataclass
from typing import Any

from . import protocol as wire
from .client import Client
from .display import Rich, block, duration, gigabytes, percent, row, short
from .errors import GpuWorkbenchError
from .sizing import Hint, right_size
from .tally import Tally

PERIOD_SECONDS = 0.5
"""As often as the server samples while somebody watches."""
LEAST_SAMPLES = 2


@dataclass(frozen=True, repr=False)
class CellProfile(Rich):
    """One line for people. `tally` None: no slice, or `trouble` says why nothing is known."""

    seconds: float
    tally: Tally | None = None
    torch_bytes: int | None = None
    hint: Hint | None = None
    trouble: str = ""

    def _facts(self) -> tuple[str, list[str]]:
        took = f"{self.seconds:.1f} s" if self.seconds < 60 else duration(self.seconds)
        if self.tally is None:
            nothing = 'on no slice: nothing to measure (%%gpu, or gw.request("10GB"), gets one)'
            return took, [self.trouble or nothing]
        one, first = self.tally, self.tally.lease.slices[0]
        many = f"{len(one.lease.slices)} × " if len(one.lease.slices) > 1 else ""
        title = f"{took} on {many}{short(first.profile)}"
        exact = "" if self.torch_bytes is None else f"torch allocated {gigabytes(self.torch_bytes)}"
        if one.samples < LEAST_SAMPLES:
            few = f"too short to tell: {one.samples or 'no'} sample{'s' * (one.samples != 1)}"
            return title, [f"{few} of the server's two a second", *([exact] if exact else [])]
        known = one.peak_bytes is not None
        peak = f"peak {gigabytes(one.peak_bytes or 0)}" if known else "peak unknown"
        facts = [f"{peak} of {gigabytes(first.memory_bytes)}", *([exact] if exact else [])]
        facts += [f"mean use {_share(one.use)}", f"SM activity {_share(one.sm_activity)}"]
        whose = " (the whole GPU's)" if one.shares_gpus and one.joules is not None else ""
        facts.append(f"energy {_energy(one.joules)}{whose}")
        facts.append(f"{one.samples} samples")
        if first.tier == "simulated":
            facts.append("simulated")
        return title, facts

    def _text(self) -> str:
        title, facts = self._facts()
        return " · ".join([title, *facts]) + (f"\n  {self.hint.sentence}" if self.hint else "")

    def _html(self) -> str:
        title, facts = self._facts()
        return block(row("plain", title, *facts, note=self.hint.sentence if self.hint else ""))


@dataclass
class _Stay:
    """The part of a cell that ran on one lease: from when, and until when it was seen there."""

    tally: Tally
    began: float
    seen: float


class Profiler:
    """Measures what runs inside the `with` block; `result` is there after it."""

    def __init__(self, client: Client) -> None:
        self.result = CellProfile(0.0)
        self._client = client
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="gpu-workbench-profile", daemon=True)
        self._stays: dict[int, _Stay] = {}
        self._trouble = ""
        self._began = 0.0
        self._before = 0.0
        """Time of the newest sample before the block: what is not newer is not the cell's."""

    def __enter__(self) -> Profiler:
        _forget_torch_peak()
        try:
            self._before = self._client.sample().time
        except GpuWorkbenchError as error:
            self._note(error)
        self._began = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        ended = time.monotonic()
        self._ended.set()
        self._thread.join()
        self._look(ended)
        if not self._stays:
            self.result = CellProfile(ended - self._began, trouble=self._trouble)
            return
        # A cell may go through several (`%%gpu` on a slice's kernel): the one it was longest on.
        stay = max(self._stays.values(), key=lambda one: (one.tally.samples, one.began))
        hint = self._hint(stay.tally)
        self.result = CellProfile(stay.seen - stay.began, stay.tally, torch_peak(), hint)

    def _run(self) -> None:
        due = self._began
        while not self._ended.is_set():
            self._look(time.monotonic())
            due = max(due + PERIOD_SECONDS, time.monotonic())
            self._ended.wait(due - time.monotonic())

    def _look(self, now: float) -> None:
        lease_id = os.environ.get(wire.LEASE_ENV, "")
        if not lease_id.isdigit():
            return  # not yet, or not any more: what was measured stays
        try:
            stay = self._stays.get(int(lease_id))
            if stay is None:
                stay = _Stay(Tally(self._client.lease(int(lease_id))), now, now)
                self._stays[int(lease_id)] = stay
            stay.seen = now
            sample = self._client.sample()
            if sample.time > self._before:
                stay.tally.add(sample)
        except GpuWorkbenchError as error:
            self._note(error)

    def _note(self, error: GpuWorkbenchError) -> None:
        if error.code != "unavailable":  # the server is up and has not looked yet
            self._trouble = f"nothing measured: {error.message}"

    def _hint(self, tally: Tally) -> Hint | None:
        lease = tally.lease
        if tally.samples < LEAST_SAMPLES:
            return None
        try:
            cards = self._client.cards(count=len(lease.slices))
        except GpuWorkbenchError:
            return None  # the figures stand without advice
        cards = [card for card in cards if card.pool == lease.pool]
        return right_size(lease.slices[0], tally.peak_bytes, tally.sm_activity, cards, time.time())


def _share(value: float | None) -> str:
    return "unknown" if value is None else percent(value)


def _energy(joules: float | None) -> str:
    """`640 J`, `1.2 kJ`, `0.35 kWh`."""
    if joules is None:
        return "unknown"
    if joules < 1000:
        return f"{joules:.0f} J"
    return f"{joules / 1000:.1f} kJ" if joules < 3.6e5 else f"{joules / 3.6e6:.2f} kWh"


# --- torch ------------------------------------------------------------------------------------


def torch_peak() -> int | None:
    """Most that torch's tensors held at once on one device; None where torch has not used CUDA.

    Torch counts that itself, exactly; cupy keeps no such peak. Imports nothing.
    """
    torch = _torch_on_cuda()
    if torch is None:
        return None
    return max(int(torch.cuda.max_memory_allocated(n)) for n in range(torch.cuda.device_count()))


def _forget_torch_peak() -> None:
    torch = _torch_on_cuda()
    if torch is not None:
        for number in range(torch.cuda.device_count()):
            torch.cuda.reset_peak_memory_stats(number)


def _torch_on_cuda() -> Any:
    torch = sys.modules.get("torch")
    if torch is None or not getattr(torch, "cuda", None) or not torch.cuda.is_initialized():
        return None
    return torch
