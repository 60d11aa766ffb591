"""A function on its way to other processes: pickled by value, with the modules beside the notebook.

Functions of a cell and modules next to the notebook can't be imported where the ranks run, so both
travel whole; installed packages travel by name. Knows nothing of jobs.
"""

from __future__ import annotations

import contextlib
import inspect
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from .errors import GpuWorkbenchError

WARN_BYTES = 1_000_000


def pack(function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> bytes:
    """`(function, args, kwargs)` as bytes that `pickle.load` takes where cloudpickle is installed.

    Raises `GpuWorkbenchError` that names what can't be sent. Warns above 1 MB.
    """
    import cloudpickle

    with _by_value(local_modules()):
        try:
            data: bytes = cloudpickle.dumps((function, tuple(args), dict(kwargs)))
        except Exception as error:
            name, culprit = _culprit(function, args, kwargs)
            raise GpuWorkbenchError(
                "cannot_send",
                f"{name} (a {type(culprit).__name__}) can't be sent to other processes: {error}.",
                "Create it inside the function instead, or pass what it is made from.",
            ) from None
        if len(data) > WARN_BYTES:
            name, size = _largest(function, args, kwargs)
            warnings.warn(
                f"{function_name(function)} and what it brings is {len(data) / 1e6:.1f} MB, most "
                f"of it {name} ({size / 1e6:.1f} MB). Read large data inside the function instead.",
                stacklevel=3,
            )
    return data


def function_name(function: Callable[..., Any]) -> str:
    """For people."""
    return str(getattr(function, "__name__", type(function).__name__))


def local_modules() -> list[ModuleType]:
    """Imported modules that lie beside the notebook or script, and not in an environment."""
    main = getattr(sys.modules.get("__main__"), "__file__", None)
    roots = {Path.cwd()} | ({Path(main).resolve().parent} if main else set())
    return [
        module
        for name, module in list(sys.modules.items())
        if name != "__main__" and _lies_in(module, roots)
    ]


def _lies_in(module: ModuleType, roots: set[Path]) -> bool:
    path = getattr(module, "__file__", None)
    if not isinstance(path, str) or module.__name__.split(".")[0] == __package__:
        return False
    file = Path(path)
    if {"site-packages", "dist-packages"} & set(file.parts) or file.is_relative_to(sys.prefix):
        return False
    return any(file.is_relative_to(root) for root in roots)


@contextlib.contextmanager
def _by_value(modules: list[ModuleType]) -> Iterator[None]:
    import cloudpickle

    ours = [m for m in modules if m.__name__ not in cloudpickle.list_registry_pickle_by_value()]
    for module in ours:
        cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        for module in ours:
            cloudpickle.unregister_pickle_by_value(module)


def _parts(
    function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Iterator[tuple[str, Any]]:
    """All that travels, under the names that its author knows."""
    yield from ((f"args[{number}]", value) for number, value in enumerate(args))
    yield from ((f"kwargs[{name!r}]", value) for name, value in kwargs.items())
    with contextlib.suppress(TypeError, ValueError):
        names = inspect.getclosurevars(function)
        used = {**names.nonlocals, **names.globals}
        yield from ((f"the variable {name!r}", value) for name, value in used.items())
    yield f"the function {function_name(function)!r}", function


def _culprit(
    function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[str, Any]:
    for name, value in _parts(function, args, kwargs):
        if _size(value) is None:
            return name, value
    return f"the function {function_name(function)!r}", function


def _largest(
    function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[str, int]:
    sizes = [(name, _size(value) or 0) for name, value in _parts(function, args, kwargs)]
    return max(sizes[:-1] or sizes, key=lambda one: one[1])


def _size(value: Any) -> int | None:
    import cloudpickle

    try:
        return len(cloudpickle.dumps(value))
    except Exception:
        return None
