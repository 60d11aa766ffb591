"""The policy file: what an admin sets about pools, quotas and the order, as TOML, checked whole.

    [pools.a100]
    gpus = ["A100"]                 # words of the model, names or UUIDs
    fractions = [0.25, 0.5]         # profiles beside the whole GPU (whole = false: none)
    default = "2h"                  # a duration: seconds, or "90s", "10min", "2h", "7d"
    max = "24h"

    [users."*"]                     # everybody who is not named
    limit = 2                       # GPU units: the most that may be held
    [groups.vision]
    deserved = 8                    # what is theirs by right; beyond it they borrow
    weight = 2                      # how much of what is left over goes to them

    [order]
    half_life = "7d"
    backfill = "easy"
    [preemption]
    on = true
    min_run = "10min"
    grace = "2min"

    [reservations]
    by = ["ana", "vision"]          # users and groups who may book ahead; admins always may
    longest = "7d"

Every fault is named with its line and key, all of them at once, and an unknown key with the nearest
that there is. Knows the domain's values, not how they are used; see `policy_text` for the lines.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..domain.fleet import Limits, Pool
from ..domain.rules import Rules
from ..domain.units import PARTS
from ..errors import BadConfiguration
from .policy import Policy
from .policy_text import (
    Check,
    Faults,
    Key,
    choice,
    duration,
    flag,
    lines_of,
    number,
    shares,
    units,
    words,
)

EVERYBODY = "*"
SECTIONS = ("pools", "users", "groups", "order", "preemption", "leases", "reservations")


_WHOLE_SECONDS = duration(least=1, whole=True)
_LIFE: dict[str, tuple[str, Check]] = {
    "default": ("default_seconds", _WHOLE_SECONDS),
    "max": ("max_seconds", _WHOLE_SECONDS),
    "idle": ("idle_seconds", _WHOLE_SECONDS),
    "claim": ("claim_seconds", _WHOLE_SECONDS),
}
_POOL: dict[str, tuple[str, Check]] = {
    "engine": ("engine", choice("local", "slurm", "kubernetes")),
    "gpus": ("gpus", words),
    "repartition": ("repartition", flag),
    "whole": ("whole", flag),
    "fractions": ("fractions", shares),
    **_LIFE,
}
_ORDER: dict[str, tuple[str, Check]] = {
    "half_life": ("half_life", duration(least=1)),
    "band": ("band", number(above=0)),
    "size_weight": ("size_weight", number(least=0)),
    "size_cap": ("size_cap", duration(least=0)),
    "backfill": ("backfill", choice("none", "easy", "conservative")),
    "depth": ("depth", number(least=1, whole=True)),
}
_PREEMPTION: dict[str, tuple[str, Check]] = {
    "on": ("on", flag),
    "min_run": ("min_run", duration(least=0)),
    "grace": ("grace", duration(least=0)),
    "worth": ("worth", duration(least=0)),
}
_RESERVATIONS: dict[str, tuple[str, Check]] = {
    "by": ("bookers", words),
    "longest": ("book_seconds", duration(least=60)),
    "ahead": ("book_ahead", duration(least=0)),
    "unclaimed": ("unclaimed", duration(least=0)),
}
_PAYER: dict[str, tuple[str, Check]] = {
    "limit": ("limit", units),
    "deserved": ("deserved", units),
    "weight": ("weight", number(above=0)),
}


def read_policy(path: Path) -> Policy:
    """The policy in a file; raises `BadConfiguration` with the line and key of every fault."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise BadConfiguration(f"The policy file {path} can't be read: {why}.") from None
    return parse_policy(text, path.name)


def parse_policy(text: str, source: str = "policy.toml") -> Policy:
    """The policy in a text; raises `BadConfiguration`. `source` stands in the messages."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadConfiguration(f"{source} is not TOML: {error}.", _HINT) from None
    faults = Faults(source, lines_of(text))
    faults.unknown((), data, SECTIONS)
    leases = _section(faults, data, "leases", {**_LIFE, "notice": ("notice", duration(least=0))})
    notice = {"notice": leases.pop("notice")} if "notice" in leases else {}
    pools = _pools(faults, _table(faults, ("pools",), data.get("pools", {})), leases)
    users = _payers(faults, data, "users")
    groups = _payers(faults, data, "groups")
    order = _section(faults, data, "order", _ORDER)
    booking = _section(faults, data, "reservations", _RESERVATIONS)
    bookers = booking.pop("bookers", ())
    preemption = _section(faults, data, "preemption", _PREEMPTION)
    if preemption.pop("on", True) is False:
        preemption["min_run"] = math.inf  # so long that nobody is ever asked to give way
    weights = {who: one["weight"] for who, one in users.items() if "weight" in one}
    for who, one in groups.items():
        if "weight" in one and weights.setdefault(who, one["weight"]) != one["weight"]:
            faults.add(("groups", who, "weight"), f"user {who} has another weight")
        if who == EVERYBODY and "weight" in one:
            faults.add(("groups", who, "weight"), "only somebody named has a weight")
    if EVERYBODY in users and "weight" in users[EVERYBODY]:
        faults.add(("users", EVERYBODY, "weight"), "only somebody named has a weight")
    faults.raise_any(_HINT)
    return Policy(
        pools or (_pool("default", leases),),
        _limits(users, groups, "limit"),
        Rules(
            deserved=_limits(users, groups, "deserved"),
            weights=weights,
            **order,
            **preemption,
            **notice,
            **booking,
        ),
        bookers=bookers,
    )


_HINT = "Correct the policy file; docs/admin/policy.md lists every key with its meaning."


def _table(faults: Faults, key: Key, value: object) -> Mapping[str, Any]:
    if isinstance(value, Mapping):
        return value
    faults.add(key, f"it must be a table ([{'.'.join(key)}]), not {value!r}")
    return {}


def _fields(
    faults: Faults, key: Key, table: Mapping[str, Any], known: Mapping[str, tuple[str, Check]]
) -> dict[str, Any]:
    """The checked values of one table, by the domain's names."""
    faults.unknown(key, table, known)
    found = {}
    for name, value in table.items():
        if name not in known:
            continue
        target, check = known[name]
        try:
            found[target] = check(value)
        except ValueError as error:
            faults.add((*key, name), str(error))
    return found


def _section(
    faults: Faults, data: Mapping[str, Any], name: str, known: Mapping[str, tuple[str, Check]]
) -> dict[str, Any]:
    return _fields(faults, (name,), _table(faults, (name,), data.get(name, {})), known)


def _pools(
    faults: Faults, tables: Mapping[str, Any], leases: Mapping[str, Any]
) -> tuple[Pool, ...]:
    found = []
    for name, value in tables.items():
        key = ("pools", name)
        fields = _fields(faults, key, _table(faults, key, value), _POOL)
        pool = _pool(name, {**leases, **fields})
        if pool.default_seconds > pool.max_seconds:
            faults.add(
                (*key, "default" if "default_seconds" in fields else "max"),
                f"the default of {pool.default_seconds} s is more than the maximum of "
                f"{pool.max_seconds} s",
            )
        if not pool.whole and not pool.fractions:
            faults.add((*key, "whole"), "without whole GPUs and fractions only MIG is offered; "
                       "say fractions = [0.25] or whole = true")  # fmt: skip
        found.append(pool)
    return tuple(found)


def _pool(name: str, fields: Mapping[str, Any]) -> Pool:
    """A pool; its default duration gives way to a shorter maximum that alone was set."""
    if "max_seconds" in fields and "default_seconds" not in fields:
        shorter = min(Pool().default_seconds, fields["max_seconds"])
        return Pool(name, **{**fields, "default_seconds": shorter})
    return Pool(name, **fields)


def _payers(faults: Faults, data: Mapping[str, Any], scope: str) -> dict[str, dict[str, Any]]:
    found = {}
    for who, value in _table(faults, (scope,), data.get(scope, {})).items():
        one = _fields(faults, (scope, who), _table(faults, (scope, who), value), _PAYER)
        if one.get("deserved", 0) > one.get("limit", math.inf):
            faults.add(
                (scope, who, "deserved"),
                f"{one['deserved'] / PARTS:g} GPU are deserved, but the limit is "
                f"{one['limit'] / PARTS:g}",
            )
        found[who] = one
    return found


def _limits(
    users: Mapping[str, Mapping[str, Any]], groups: Mapping[str, Mapping[str, Any]], what: str
) -> Limits:
    def named(payers: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
        return {who: one[what] for who, one in payers.items() if what in one and who != EVERYBODY}

    return Limits(
        named(users),
        named(groups),
        users.get(EVERYBODY, {}).get(what),
        groups.get(EVERYBODY, {}).get(what),
    )
