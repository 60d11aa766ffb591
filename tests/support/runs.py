"""A job's supervisor on a directory of its own: real torch, real ranks, gloo; no server.

run.start(script=FOR_EVER, args=["100"]).stepping()
assert run.ended()["state"] == "succeeded"
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cloudpickle
import psutil

from gpu_workbench_server.domain.environment import environment_for_holder
from gpu_workbench_server.engines.local import LocalEngine
from gpu_workbench_server.ports import ProcessSpec

from .waiting import wait_for

LEASE = 41

LOOP = """
import os, sys, time, torch, torch.distributed as dist
import gpu_workbench as gw
dist.init_process_group("gloo")
model = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(4, 1))
optimizer = torch.optim.SGD(model.parameters(), 0.01)
rank = dist.get_rank()
for step in range(int(sys.argv[1])):
    loss = model(torch.randn(8, 4)).pow(2).mean()
    optimizer.zero_grad(); loss.backward(); optimizer.step()
"""
FOR_EVER = LOOP + "    time.sleep(0.05)\n"
# For ever, until it is killed: the second time, for 20 steps.
TWICE = (
    """
import os, sys
again = f"{os.environ['RANK']}-was-here"
sys.argv[1:] = ["20" if os.path.exists(again) else "1000000"]
open(again, "w").close()
"""
    + FOR_EVER
)


class Run:
    """One job's directory and its supervisor."""

    def __init__(self, directory: Path, engine: LocalEngine | None = None) -> None:
        """With an engine it is that which starts the supervisor, warm where it can."""
        self.directory = directory
        self.process: subprocess.Popen[bytes] | psutil.Process | None = None
        # Unique, where a real lease's id could be another test's.
        self.key = f"job-{zlib.crc32(str(directory).encode()):08x}"
        self._engine = engine

    def start(
        self,
        ranks: int = 2,
        function: Any = None,
        wrap: Sequence[str] = (),
        suffix: str = ".py",
        **spec: Any,
    ) -> Run:
        """`wrap` goes before the supervisor's command line; `spec` into `spec.json`. `suffix` is
        that of the file whose text is `spec["script"]`."""
        self.directory.mkdir(exist_ok=True)
        work = self.directory.parent / "work"
        work.mkdir(exist_ok=True)
        if "script" in spec:
            script = work / f"train{suffix}"
            script.write_text(spec["script"])
            spec["script"] = str(script)
        if function is not None:
            if function[0].__module__ in sys.modules and function[0].__module__ != "builtins":
                cloudpickle.register_pickle_by_value(sys.modules[function[0].__module__])
            (self.directory / "function.pkl").write_bytes(cloudpickle.dumps(function))
        slices = [
            {
                "id": f"slice-{number}",
                "gpu": "gpu",
                "kind": "fraction",
                "profile": "fraction-0.25",
                "memory_bytes": 1 << 30,
                "units": 0.25,
                "visible_device": "",
                "tier": "simulated",
            }
            for number in range(ranks)
        ]
        lease = {
            "id": LEASE,
            "state": "active",
            "user": "ana",
            "mine": True,
            "pool": "local",
            "profile": "fraction-0.25",
            "slices": slices,
            "units": 0.25 * ranks,
            "purpose": "job",
            "name": "train",
            "granted_at": 1.0,
            "ends_at": 2e9,
        }
        default = {"ranks": ranks, "lease": lease, "cwd": str(work), "grace_seconds": 3}
        (self.directory / "spec.json").write_text(json.dumps(default | spec))
        argv = [sys.executable, "-m", "gpu_workbench.holders.job", str(self.directory)]
        environment = {
            "GPU_WORKBENCH_LEASE": str(LEASE),
            "GPU_WORKBENCH_SLICES": ",".join(one["id"] for one in slices),
            "GPU_WORKBENCH_KEY": self.key,
        }
        if self._engine is not None:
            environment = environment_for_holder(os.environ) | environment
            environment["OMP_NUM_THREADS"] = "1"
            environment.pop("PYTEST_CURRENT_TEST", None)  # as on a server it is always the same
            asked = ProcessSpec(self.key, tuple(argv), environment, self.directory, warm="job")
            self.process = psutil.Process(self._engine.submit(asked).pid)
            return self
        self.process = subprocess.Popen(
            [*wrap, *argv],
            cwd=self.directory,
            env=os.environ | environment,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        return self

    @property
    def is_forked(self) -> bool:
        """Was its supervisor forked from a warm parent?"""
        assert isinstance(self.process, psutil.Process)
        try:
            return "gpu_workbench.holders.nursery" in self.process.cmdline()
        except psutil.NoSuchProcess:  # nothing that is started is over so soon
            return True

    @property
    def status(self) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads((self.directory / "status.json").read_text())
        except OSError:
            return {"state": "none", "ranks": []}
        return found

    def ended(self, seconds: float = 90.0) -> dict[str, Any]:
        assert self.process is not None
        self.process.wait(seconds)
        assert not self.family(), "processes are left"
        return self.status

    def stepping(self) -> dict[str, Any]:
        """Wait until every rank has made some steps."""

        def all_step() -> dict[str, Any] | None:
            now = self.status
            steps = [one["step"] or 0 for one in now["ranks"]]
            return now if steps and min(steps) >= 5 else None

        return wait_for(all_step, 90, "both ranks make steps")

    def family(self) -> list[int]:
        """Live processes that carry this job's tag."""
        tag = f"GPU_WORKBENCH_KEY={self.key}".encode()
        found = []
        for pid in psutil.pids():
            try:
                environ = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
                if tag in [one.strip() for one in environ]:
                    found.append(pid)
            except OSError:
                continue
        return found

    def rank(self, number: int, attempt: int = 0) -> Path:
        return self.directory / f"attempt-{attempt}" / f"rank-{number}"

    def points(self) -> list[dict[str, Any]]:
        lines = (self.directory / "metrics.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]

    def close(self) -> None:
        """End whatever is left of it."""
        for pid in self.family():
            os.kill(pid, signal.SIGKILL)
        if self.process is not None:
            self.process.wait(30)
