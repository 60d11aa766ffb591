"""Which simulated GPUs were cut anew, kept in a file: a real GPU keeps its MIG instances itself."""

from __future__ import annotations

import json
import os
from pathlib import Path

from ..domain.fleet import Gpu
from ..domain.repartition import Layout
from ..errors import BadConfiguration
from .fleet_file import cut_anew


class Layouts:
    """By the GPU's UUID. Without a file nothing is kept."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._known: dict[str, Layout] = {}
        if path is None or not path.exists():
            return
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            self._known = {
                str(uuid): tuple((str(name), int(start)) for name, start in layout)
                for uuid, layout in found.items()
            }
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise BadConfiguration(
                f"{path}, which says how simulated GPUs were cut, can't be read: {error}.",
                "Remove it: the fleet is cut as the fleet file says then.",
            ) from error

    def on(self, gpu: Gpu) -> Gpu:
        """The GPU as it was cut last; as it is where it was not, or can't be any more."""
        layout = self._known.get(gpu.uuid)
        if layout is None or not gpu.mig:
            return gpu
        try:
            return cut_anew(gpu, layout)
        except BadConfiguration:
            return gpu  # the fleet file has another GPU there now

    def keep(self, uuid: str, layout: Layout) -> None:
        """On disk when it returns, whole; `OSError` where that can't be."""
        known = self._known | {uuid: layout}
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            beside = self._path.with_suffix(".new")
            beside.write_text(json.dumps(known, indent=1), encoding="utf-8")
            os.replace(beside, self._path)
        self._known = known
