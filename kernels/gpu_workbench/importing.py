"""Something to do right after a module was imported, without importing it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any

Calls = Mapping[str, Callable[[ModuleType], None]]


def after_import(calls: Calls) -> None:
    """Call `calls[name](module)` right after each named module is imported, or now if it is.

    Again with the same calls, only those of modules that are there by now are made once more.
    """
    for name in [name for name in calls if name in sys.modules]:
        calls[name](sys.modules[name])
    if not any(isinstance(one, _AfterImport) and one.calls is calls for one in sys.meta_path):
        sys.meta_path.insert(0, _AfterImport(calls))


class _AfterImport(MetaPathFinder):
    def __init__(self, calls: Calls) -> None:
        self.calls = calls
        self._busy: set[str] = set()

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name not in self.calls or name in self._busy:
            return None
        self._busy.add(name)  # the others find it; this finder must not find itself
        try:
            spec = find_spec(name)
        finally:
            self._busy.discard(name)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader, self.calls[name])
        return spec


class _Loader(Loader):
    def __init__(self, loader: Loader, call: Callable[[ModuleType], None]) -> None:
        self._loader = loader
        self._call = call

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        self._call(module)
