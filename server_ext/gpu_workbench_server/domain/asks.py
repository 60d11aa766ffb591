"""Reading what somebody asks for, and refusing at once what can never be had.

"20GB" is a memory, "0.25" a share, "1g.10gb" a profile, "gpu" a whole GPU. Every refusal names the
number that binds and the nearest thing that would work.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..errors import BadAsk, NeverFits, OverLimit, TooLong, UnknownProfile
from .fleet import Limits, Pool, Profile
from .leases import Purpose
from .units import parse_memory_gb, show_gb, show_units

EXAMPLES = 'Ask for a memory ("20GB"), a share ("0.25"), a profile ("1g.10gb") or "gpu".'
MAX_COUNT = 10_000


@dataclass(frozen=True, slots=True)
class Wanted:
    """An ask as it came in, before it is known which pool and profile serve it."""

    user: str
    group: str | None
    what: str
    count: int = 1
    seconds: int | None = None
    pool: str | None = None
    same_node: bool = False
    priority: int = 0
    purpose: Purpose = "kernel"
    name: str = ""
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Need:
    """What an ask comes down to: a profile name, or the least memory that will do."""

    profile: str | None
    memory_gb: float


def read(what: str) -> Need:
    """What a text asks for; raises `BadAsk`."""
    text = what.strip().lower()
    memory = parse_memory_gb(text)
    if memory is not None:
        return Need(None, memory)
    if text in ("gpu", "whole", "1", "1.0"):
        return Need("whole", 0.0)
    try:
        share = float(text)
    except ValueError:
        pass
    else:
        if not 0 < share < 1:
            raise BadAsk(f"A share of {what} of a GPU is not between 0 and 1.", EXAMPLES)
        return Need(f"fraction-{share:g}", 0.0)
    if text.startswith(("mig-", "fraction-")):
        return Need(text, 0.0)
    if "g." in text:
        return Need(f"mig-{text}", 0.0)
    raise BadAsk(f"“{what}” is neither a memory nor a share nor a profile.", EXAMPLES)


def choose(
    need: Need, offered: Sequence[Profile], free: Callable[[Profile], bool] = lambda one: False
) -> Profile:
    """The smallest offered profile that serves the need; raises `UnknownProfile` or `NeverFits`.

    Of several with that memory it is the first that is `free` now, else the one with fewest parts.
    """
    if need.profile is None:
        enough = [one for one in offered if one.memory_gb >= need.memory_gb]  # smallest first
        if enough:
            equal = [one for one in enough if one.memory_gb == enough[0].memory_gb]
            return next((one for one in equal if len(equal) > 1 and free(one)), equal[0])
        largest = max((p.memory_gb for p in offered), default=0.0)
        raise NeverFits(
            f"No slice here has {show_gb(need.memory_gb)}: the largest has {show_gb(largest)}.",
            f"Ask for at most {show_gb(largest)}, or for several slices with count=.",
        )
    for profile in offered:
        if profile.name == need.profile:
            return profile
    raise UnknownProfile(
        f"Nobody offers {need.profile.removeprefix('mig-')} here.",
        f"On offer: {', '.join(nick(p) for p in offered) or 'nothing at the moment'}.",
    )


def nick(profile: Profile) -> str:
    """What to type for a profile: "1g.10gb", "0.25", "gpu"."""
    if profile.kind == "whole":
        return "gpu"
    return profile.name.removeprefix("mig-").removeprefix("fraction-")


def check_count(count: int, possible: int, profile: Profile, pool: Pool) -> None:
    """Raise where the pool could not give that many even with everything free."""
    if count < 1 or count > MAX_COUNT:
        raise BadAsk(f"A count of {count} makes no sense.", "Ask for 1 or more.")
    if count > possible:
        raise NeverFits(
            f"{count} × {profile.label} are more than pool {pool.name} has: it could give "
            f"{possible} with everything free.",
            f"Ask for at most {possible}, or for smaller slices."
            if possible
            else "Ask for another profile.",
        )


def check_seconds(seconds: int | None, pool: Pool) -> int:
    """How long the lease is to be; raises where it is absurd or more than the pool allows."""
    if seconds is None:
        return pool.default_seconds
    if seconds < 1:
        raise BadAsk(f"A lease of {seconds} s makes no sense.", "Ask for at least one second.")
    if seconds > pool.max_seconds:
        raise TooLong(
            f"{seconds / 3600:g} h is more than pool {pool.name} allows.",
            f"Ask for at most {pool.max_seconds / 3600:g} h; a lease can be extended later.",
        )
    return seconds


def check_limits(parts: int, each: int, user: str, group: str | None, limits: Limits) -> None:
    """Raise where a request alone is over a limit, whatever else is held."""
    for scope, limit in (
        ("your", limits.user(user)),
        ("your group's", limits.group(group) if group else None),
    ):
        if limit is not None and parts > limit:
            most = limit // each
            raise OverLimit(
                f"{show_units(parts)} GPU is more than {scope} limit of {show_units(limit)}.",
                (f"You can have {most} of this profile" if most else "Ask for a smaller profile")
                + ", or ask an admin for more.",
            )
