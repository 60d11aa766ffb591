"""`gw.status()`: what is free, what I hold, what I wait for, in one look."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from . import protocol as wire
from .client import get_client
from .display import Rich, Tone, bar, beside, block, expected, heading, left, row, short


@dataclass(frozen=True, repr=False)
class StatusView(Rich):
    """What the server said at one moment; call `gw.status()` again for a newer one."""

    status: wire.Status
    fleet: wire.Fleet
    leases: tuple[wire.Lease, ...]
    """Mine."""
    requests: tuple[wire.Request, ...]
    """Mine that wait."""

    @property
    def free(self) -> float:
        """GPU units that are free now."""
        return self.status.units_free

    def _head(self) -> str:
        kind = "simulated GPUs" if self.status.simulated else "GPUs"
        free, total = (round(one, 2) for one in (self.status.units_free, self.status.units_total))
        return f"{free:g} of {total:g} {kind} free"

    def _quota(self) -> str:
        bounds = [one for one in self.status.quotas if one.limit is not None]
        return " · ".join(
            f"{one.name} holds {round(one.held, 2):g} of {one.limit:g}" for one in bounds
        )

    def _text(self) -> str:
        lines = [self._head()]
        lines += [f"  {self._quota()}"] if self._quota() else []
        for gpu in self.fleet.gpus:
            parts = " ".join(f"[{_segment(one)}]" for one in gpu.segments)
            lines.append(f"  {gpu.name} {gpu.model}  {parts}{_health(gpu)}")
        lines += [f"hold: {' · '.join(_held(one))}" for one in self.leases]
        for one in self.requests:
            lines.append(f"wait: {' · '.join(_waits(one))}")
            lines += [f"      {one.reason.sentence}"] if one.reason else []
        if self.fleet.trouble:
            lines.append(f"{self.fleet.trouble.message} {self.fleet.trouble.hint}")
        return "\n".join(lines)

    def _html(self) -> str:
        parts = [row("free", self._head(), self._quota())]
        if self.fleet.trouble:
            problem = self.fleet.trouble
            parts.append(row("bad", problem.message, note=problem.hint))
        for gpu in self.fleet.gpus:
            cut = [(one.units, _tone(one), _segment(one)) for one in gpu.segments]
            parts.append(beside(f"{gpu.name} {gpu.model}{_health(gpu)}", bar(cut), _free(gpu)))
        if self.leases:
            parts.append(heading("Mine"))
            parts += [row("mine", *_held(one)) for one in self.leases]
        if self.requests:
            parts.append(heading("Waiting"))
            for one in self.requests:
                note = one.reason.sentence if one.reason else ""
                parts.append(row("wait", *_waits(one), note=note))
        if not self.leases and not self.requests:
            parts.append(row("plain", "You hold nothing.", 'gw.request("20GB") gets you a slice.'))
        return block(*parts)


def status() -> StatusView:
    """What is free, what you hold and what you wait for. Raises `GpuWorkbenchError`."""
    client = get_client()
    return StatusView(
        status=client.status(),
        fleet=client.fleet(),
        leases=tuple(one for one in client.leases() if one.mine),
        requests=tuple(one for one in client.requests() if one.mine),
    )


def _held(lease: wire.Lease) -> tuple[str, ...]:
    number = f"{len(lease.slices)} × " if len(lease.slices) > 1 else ""
    name = lease.holder.name if lease.holder else lease.name or "not taken yet"
    return (f"{number}{short(lease.profile)}", f"lease {lease.id}", name, left(lease.ends_at))


def _waits(request: wire.Request) -> tuple[str, ...]:
    number = f"{request.count} × " if request.count > 1 else ""
    place = f"position {request.position}" if request.position else ""
    facts = (f"{number}{short(request.profile)}", place, expected(request.expected_at))
    return tuple(one for one in facts if one)


def _segment(segment: wire.SliceView) -> str:
    label = short(segment.profile)
    if segment.lease_id is None:
        return f"{label} free"
    return f"{label} mine" if segment.mine else f"{label} taken"


def _free(gpu: wire.Gpu) -> str:
    """`free: 2 × 1g.10gb, 3g.40gb`."""
    counted = Counter(short(one.profile) for one in gpu.segments if one.lease_id is None)
    words = [f"{many} × {name}" if many > 1 else name for name, many in counted.items()]
    return f"free: {', '.join(words)}" if words else "nothing free"


def _tone(segment: wire.SliceView) -> Tone:
    if segment.lease_id is None:
        return "free"
    return "mine" if segment.mine else "plain"


def _health(gpu: wire.Gpu) -> str:
    return "" if gpu.health == "ok" else f" ({gpu.health})"
