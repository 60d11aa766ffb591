"""What an administrator may set, checked once and frozen.

Knows no traitlets and no Jupyter: `app.py` reads the traits into `Settings`; everything behind it
takes plain values. Durations are seconds, limits are GPU units (1.0 is a whole GPU).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from .domain.fleet import Limits, Pool
from .domain.units import PARTS
from .errors import BadConfiguration

Devices = Literal["auto", "nvml", "simulated"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One value object for the whole plugin. See `app.GpuWorkbenchApp` for what each one means."""

    data_dir: Path
    devices: Devices = "auto"
    fleet_file: Path | None = None
    policy_file: Path | None = None
    store_url: str = field(default="", repr=False)
    """May hold a password: never print it, see `store.troubles.shown`."""
    user_limits: Mapping[str, float] = field(default_factory=dict)
    group_limits: Mapping[str, float] = field(default_factory=dict)
    default_user_limit: float | None = None
    default_group_limit: float | None = None
    lease_ttl: int = 90
    default_seconds: int = 2 * 3600
    max_seconds: int = 24 * 3600
    idle_seconds: int = 1800
    claim_seconds: int = 600
    whole_gpus: bool = True
    fractions: tuple[float, ...] = (0.25, 0.5)
    grace_seconds: float = 15.0
    restart_seconds: float = 10.0
    rapids_environment: Path | None = None
    ucx: bool = False
    tick_seconds: float = 1.0
    live_windows: int = 64
    job_days: float = 30.0
    job_gigabytes: float = 50.0
    warm_start: bool = True

    def __post_init__(self) -> None:
        """Raise `BadConfiguration`, with the setting's name and its bounds, where one is wrong."""
        for name in ("default_seconds", "max_seconds", "idle_seconds", "claim_seconds"):
            _need(getattr(self, name) > 0, name, getattr(self, name), "more than 0 seconds")
        _need(
            self.lease_ttl >= 3 * self.tick_seconds,
            "lease_ttl",
            self.lease_ttl,
            f"at least three times tick_seconds ({self.tick_seconds:g}), or leases would lapse",
        )
        _need(
            self.default_seconds <= self.max_seconds,
            "default_seconds",
            self.default_seconds,
            f"at most max_seconds ({self.max_seconds})",
        )
        _need(0.05 <= self.tick_seconds <= 60, "tick_seconds", self.tick_seconds, "0.05 to 60")
        _need(self.live_windows >= 1, "live_windows", self.live_windows, "1 or more")
        for name in ("grace_seconds", "restart_seconds"):
            _need(getattr(self, name) >= 0, name, getattr(self, name), "0 seconds or more")
        _need(self.job_days > 0, "job_days", self.job_days, "more than 0 days")
        _need(self.job_gigabytes >= 0, "job_gigabytes", self.job_gigabytes, "0 GB or more")
        for share in self.fractions:
            _need(0.001 <= share < 1, "fractions", share, "shares of one GPU, 0.001 up to below 1")
        for name in ("user_limits", "group_limits"):
            for who, units in getattr(self, name).items():
                _need(_is_units(units), name, f"{who}: {units}", "GPU units, 0 or more")
        for name in ("default_user_limit", "default_group_limit"):
            units = getattr(self, name)
            _need(units is None or _is_units(units), name, units, "GPU units, 0 or more, or None")
        _need(
            self.fleet_file is None or self.fleet_file.is_file(),
            "fleet_file",
            self.fleet_file,
            "the path of a file that can be read",
        )

    def pool(self) -> Pool:
        """The one pool of a single machine."""
        return Pool(
            whole=self.whole_gpus,
            fractions=self.fractions,
            default_seconds=self.default_seconds,
            max_seconds=self.max_seconds,
            idle_seconds=self.idle_seconds,
            claim_seconds=self.claim_seconds,
        )

    def limits(self) -> Limits:
        """The limits in parts of a GPU, as the domain counts."""
        return Limits(
            users={who: _parts(units) for who, units in self.user_limits.items()},
            groups={who: _parts(units) for who, units in self.group_limits.items()},
            default_user=_parts_or_none(self.default_user_limit),
            default_group=_parts_or_none(self.default_group_limit),
        )


def _is_units(value: object) -> bool:
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and math.isfinite(value)
        and value >= 0
    )


def _parts(units: float) -> int:
    return math.floor(units * PARTS + 1e-6)


def _parts_or_none(units: float | None) -> int | None:
    return None if units is None else _parts(units)


def _need(good: bool, name: str, value: object, wanted: str) -> None:
    if not good:
        raise BadConfiguration(
            f"GpuWorkbenchApp.{name} is {value}: it must be {wanted}.",
            "Correct it in the Jupyter server's configuration and start the server again.",
        )
