"""What the monitor draws and where the figures come from: the user's own server, once a second."""

from __future__ import annotations

import time

from ... import protocol as wire
from ...client import Client
from ...display import short
from ...errors import GpuWorkbenchError
from .window import SECONDS, Subject, Window

_LOOK_FOR_LEASES_EVERY = 5


class Source:
    """Fills a `Window` from the server. `lease` is an id, `gpu` a name, an index or a UUID.

    Without either: all slices that the user holds, or the GPUs while there are none.
    """

    def __init__(self, client: Client, lease: int | None, gpu: str | int | None) -> None:
        self.window = Window()
        self._client = client
        self._lease = lease
        self._gpu = gpu
        self._steps = 0
        self._over = False

    @property
    def over(self) -> bool:
        """The lease that was to be watched has ended."""
        return self._over

    def step(self) -> None:
        """One second later. Raises `GpuWorkbenchError`."""
        if self._steps % _LOOK_FOR_LEASES_EVERY == 0:
            for one in self.window.watch(self._subjects()):
                self._remember(one)
        self._steps += 1
        self.window.step(self._figures())

    def _figures(self) -> dict[str, tuple[float | None, float | None]]:
        values: dict[str, tuple[float | None, float | None]] = {}
        try:
            sample = self._client.sample()
        except GpuWorkbenchError as error:
            if error.code != "unavailable":  # the server is up and has not looked yet
                raise
            return values
        for slice_ in sample.slices:
            values[slice_.slice_id] = (slice_.activity, slice_.memory_bytes)
        for gpu in sample.gpus:
            values[gpu.uuid] = (gpu.activity, gpu.memory_bytes)
        return values

    def _remember(self, subject: Subject) -> None:
        past = self._client.history(subject.id, SECONDS)
        means = {one.metric: one.mean for one in past.series}
        unknown: list[float | None] = [None] * len(past.times)
        columns = (means.get(name, unknown) for name in ("activity", "memory_bytes"))
        points = zip(past.times, *columns, strict=True)
        self.window.fill(subject.id, time.time(), points)

    def _subjects(self) -> list[Subject]:
        if self._gpu is not None:
            return [self._of_gpu(self._gpu_named(self._gpu))]
        if self._lease is not None:
            lease = self._client.lease(self._lease)
            self._over = lease.state == "ended"
            return _of_lease(lease)
        mine = [one for one in self._client.leases() if one.mine]
        if mine:
            return [part for lease in mine for part in _of_lease(lease)]
        return [self._of_gpu(one) for one in self._client.fleet().gpus]

    def _gpu_named(self, wanted: str | int) -> wire.Gpu:
        gpus = self._client.fleet().gpus
        for one in gpus:
            if wanted in (one.name, one.uuid, one.index):
                return one
        raise GpuWorkbenchError(
            "not_found",
            f"There is no GPU {wanted!r}.",
            f"There are: {', '.join(one.name for one in gpus)}.",
        )

    @staticmethod
    def _of_gpu(gpu: wire.Gpu) -> Subject:
        return Subject(gpu.uuid, f"{gpu.name} {gpu.model}", gpu.memory_bytes)


def _of_lease(lease: wire.Lease) -> list[Subject]:
    name = lease.holder.name if lease.holder else lease.name or f"lease {lease.id}"
    many = len(lease.slices) > 1
    return [
        Subject(
            one.id,
            f"{name} · {short(one.profile)}" + (f" · {number}" if many else ""),
            one.memory_bytes,
        )
        for number, one in enumerate(lease.slices, start=1)
    ]
