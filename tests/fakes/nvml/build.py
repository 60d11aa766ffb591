"""Builds the fake driver with the machine's C compiler, and writes what it answers from.

A fake driver is a directory with `libnvidia-ml.so.1` and `nvml.state` side by side. Give the
library's path to `NvmlBackend(library=…)`, or a subprocess the directory in `LD_LIBRARY_PATH`;
never this process, or every test after it would meet GPUs that are not there.

    driver = FakeDriver(gpus=[FakeGpu(), FakeGpu(instances=h100_layout())])
    fake = install(driver, tmp_path)      # writes, builds if need be
    driver.gpus[0].lost = True
    fake.write(driver)                    # seen by the next call
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import struct
import subprocess
import tempfile
from collections import Counter
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from .driver import FakeDriver

HERE = Path(__file__).parent
SOURCES = sorted(HERE.glob("*.c"))
CALL_SLOT, CALL_SLOTS = struct.Struct("IIQ48s"), 1024
"""As `calls.c` lays them out."""
FLAGS = ("-std=gnu11", "-D_GNU_SOURCE", "-O1", "-Wall", "-Wextra", "-fPIC", "-shared")
LIBRARIES = ("-Wl,-Bsymbolic", "-ldl", "-lpthread")


@dataclass(frozen=True)
class Installed:
    """A fake driver on disk."""

    directory: Path

    @property
    def library(self) -> Path:
        return self.directory / "libnvidia-ml.so.1"

    def write(self, driver: FakeDriver) -> None:
        """Replaces the state; the next call of the library sees it."""
        handle, name = tempfile.mkstemp(dir=self.directory)
        with os.fdopen(handle, "w") as file:
            file.write(driver.text())
        os.replace(name, self.directory / "nvml.state")

    def calls(self) -> Counter[str]:
        """How often each function was called so far, by whichever process."""
        table = (self.directory / "nvml.calls").read_bytes()
        rows = CALL_SLOT.iter_unpack(table)
        return Counter({name.rstrip(b"\0").decode(): n for state, _, n, name in rows if state == 2})


def install(driver: FakeDriver, directory: Path) -> Installed:
    """A directory with the library and this state."""
    directory.mkdir(parents=True, exist_ok=True)
    fake = Installed(directory)
    shutil.copy(build(), fake.library)
    (directory / "nvml.calls").write_bytes(bytes(CALL_SLOT.size * CALL_SLOTS))
    fake.write(driver)
    return fake


def build() -> Path:
    """The compiled library, from a cache that is keyed by its sources and by pynvml's.

    Every function that pynvml knows and the sources lack becomes a stub that is "not supported".
    """
    stubs = _stubs()
    parts = [stubs, " ".join(FLAGS), *(one.read_text() for one in (HERE / "fake_nvml.h", *SOURCES))]
    key = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
    cache = Path(tempfile.gettempdir()) / f"gpu-workbench-fake-nvml-{os.getuid()}"
    cache.mkdir(mode=0o700, exist_ok=True)
    assert cache.stat().st_uid == os.getuid(), f"{cache} is somebody else's"
    library = cache / f"{key}.so"
    with (cache / "lock").open("w") as lock:  # several test processes may want it at once
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not library.exists():
            generated = cache / f"{key}-stubs.c"
            generated.write_text(stubs)
            target = library.with_suffix(".tmp")
            files = [str(one) for one in SOURCES]
            command = ["gcc", *FLAGS, f"-I{HERE}", "-o", str(target)]
            subprocess.run([*command, *files, str(generated), *LIBRARIES], check=True)
            target.replace(library)
    return library


def _stubs() -> str:
    spec = find_spec("pynvml")
    assert spec is not None and spec.origin is not None
    known = re.findall(r'_nvmlGetFunctionPointer\("(nvml\w+)"\)', Path(spec.origin).read_text())
    written = "\n".join(one.read_text() for one in SOURCES)
    ours = set(re.findall(r"^(?:ret_t|const char \*)\s?(nvml\w+)\(", written, re.MULTILINE))
    ours |= set(re.findall(r"^ALIAS\((nvml\w+),", written, re.MULTILINE))
    lines = ['#include "fake_nvml.h"']
    for name in sorted(set(known) - ours):
        lines.append(f"ret_t {name}(void);")
        lines.append(f'ret_t {name}(void) {{ return fake_unsupported("{name}"); }}')
    return "\n".join(lines) + "\n"
