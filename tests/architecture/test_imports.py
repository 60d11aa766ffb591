"""Who may import whom (HOUSE: domain ← ports ← services ← web, hub, cli, simulate)."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.architecture.tree import KERNEL, SERVER, Import, imports

CORE = {"domain", "errors"}
PORTS = CORE | {"ports"}
SERVICES = PORTS | {"settings", "services"}
# Of each room of the server package: which other rooms its modules may import.
MAY = {
    "errors": set(),
    "domain": {"errors"},
    "ports": CORE,
    "settings": CORE,
    "housekeeping": set(),
    "lock": {"errors"},
    "procscan": set(),
    "rapids_kernel": set(),
    "services": PORTS | {"settings"},
    "store": PORTS,
    "devices": PORTS | {"procscan"},
    "engines": PORTS | {"procscan"},
    "observe": PORTS,
    "web": SERVICES,
    "hub": SERVICES,
    "cli": SERVICES | {"simulate", "rapids_kernel"},
    "simulate": SERVICES,
}
# The composition root, in two halves, the hub service's, and the command line's.
ROOTS = {"app", "compose", "hub.main", "cli.outside"}
KNOW_EVERYBODY = ROOTS | {"__init__"}
# Both sides share the wire types, and rules that both must follow alike: what a checkpoint is,
# which slice would do, and the words for sizes and times in what is said of that.
WIRE = "gpu_workbench.protocol"
RULES = ("gpu_workbench.checkpoints", "gpu_workbench.sizing", "gpu_workbench.display")
SHARED = (WIRE, *RULES)
# What a module needs to do I/O, to know the time or to run things: not for the domain.
IMPURE = {
    *("asyncio", "concurrent", "ctypes", "glob", "io", "logging", "multiprocessing", "os"),
    *("pathlib", "random", "secrets", "select", "shutil", "socket", "sqlite3"),
    *("subprocess", "sys", "tempfile", "threading", "time", "urllib", "uuid"),
}


def room(module: Path) -> str:
    """The room that a module of the server package is in."""
    parts = module.relative_to(SERVER).with_suffix("").parts
    dotted = ".".join(parts)
    return dotted if dotted in KNOW_EVERYBODY else parts[0]


def crossings() -> list[tuple[str, str, Import]]:
    """(from, to, import) of every import inside the server package that leaves its room."""
    found = []
    for one in imports(SERVER):
        names = one.target.split(".")
        if names[0] == SERVER.name and len(names) > 1 and names[1] != room(one.module):
            found.append((room(one.module), names[1], one))
    return found


def test_every_room_of_the_server_has_a_rule() -> None:
    rooms = {room(module) for module in SERVER.rglob("*.py") if "labextension" not in module.parts}
    assert rooms - KNOW_EVERYBODY <= set(MAY)


def test_a_room_imports_only_the_rooms_it_may_know() -> None:
    wrong = [
        str(one)
        for origin, target, one in crossings()
        if origin not in KNOW_EVERYBODY and target not in MAY[origin] | {"__version__"}
    ]
    assert wrong == []


def test_nobody_imports_the_composition_root() -> None:
    wrong = [
        str(one)
        for origin, target, one in crossings()
        if target in ROOTS and origin not in KNOW_EVERYBODY
    ]
    assert wrong == []


def test_the_domain_is_pure() -> None:
    known = {SERVER.name, KERNEL.name, *sys.stdlib_module_names} - IMPURE
    wrong = [
        str(one)
        for one in imports(SERVER)
        if room(one.module) == "domain" and one.target.split(".")[0] not in known
    ]
    assert wrong == []


def test_the_server_shares_only_wire_types_and_common_rules_with_the_kernel_package() -> None:
    wrong = [
        str(one)
        for one in imports(SERVER)
        if one.target.split(".")[0] == KERNEL.name
        and not f"{one.target}.".startswith(tuple(f"{shared}." for shared in SHARED))
    ]
    assert wrong == []


def test_the_common_rules_need_the_wire_types_and_the_standard_library_only() -> None:
    known = {*SHARED, *sys.stdlib_module_names, "IPython"}  # that only where something is shown
    wrong = [
        str(one)
        for one in imports(KERNEL)
        if ".".join(one.module.relative_to(KERNEL.parent).with_suffix("").parts) in RULES
        and not any(f"{one.target}.".startswith(f"{name}.") for name in known)
    ]
    assert wrong == []


def test_the_kernel_package_knows_nothing_of_the_server() -> None:
    assert [str(one) for one in imports(KERNEL) if one.target.split(".")[0] == SERVER.name] == []


def test_the_wire_types_know_nothing_but_msgspec() -> None:
    known = {"__future__", "msgspec", "typing"}
    found = {one.target.split(".")[0] for one in imports(KERNEL) if one.module.stem == "protocol"}
    assert found <= known
