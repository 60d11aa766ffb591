"""`accept training`: what a job does on a real GPU that no simulation shows.

One rank by NCCL, started and forked; two ranks on one GPU by fraction, where gloo has to take
NCCL's place; BF16; too much memory, diagnosed; a step beside the same step without us. On simulated
GPUs the same programs run on the CPU: a rehearsal, which says unknown where only a GPU could tell.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from findings import Rows
from workplace import WHO, Workplace

from gpu_workbench import protocol as wire

BARE_ROUNDS = 3
FORKED_BY = 10
WITHIN = 1.02


def train(rows: Rows, place: Workplace) -> None:
    """All of it, one after the other."""
    profiles = place.broker.fleet(WHO).pools[0].profiles
    kinds = {one.kind: one.name for one in profiles}  # of fractions the last, the largest
    largest = kinds.get("whole") or profiles[-1].name
    parts: list[tuple[str, Callable[[Rows, Workplace, str], None], str | None]] = [
        ("one rank", _one_rank, largest),
        ("two on one GPU", _shared, kinds.get("fraction")),
        ("bf16", _bf16, largest),
        ("out of memory", _out_of_memory, kinds.get("fraction") or largest),
        ("step time", _step_time, largest),
    ]
    for name, part, profile in parts:
        if profile is None:
            rows.check(name, "not offered here", None, ", ".join(kinds))
            continue
        part(rows, place, profile)


def _one_rank(rows: Rows, place: Workplace, profile: str) -> None:
    """The first job is started; one of the next is forked, once torch is imported for it."""
    wanted = "gloo" if place.devices.simulated else "nccl"
    for number in range(FORKED_BY + 1):
        job, found = _run(rows, "one rank", place, _meet(), 1, profile)
        how = "forked" if found.get("forked") else "started"
        if number and how == "started" and number < FORKED_BY:
            continue
        rows.check("one rank", f"{how}: its backend", found.get("backend") == wanted, found)
        rows.check("one rank", f"{how}: the sum of all ranks", found.get("sum") == 1.0, "")
        at = f"{found.get('at', 0) - job.created_at:.2f}"
        rows.check("one rank", f"{how}: from submit to the first collective, s", True, at)
        if how == "forked":
            break
    rows.check("one rank", "forked from a process that has torch", how == "forked", number)


def _shared(rows: Rows, place: Workplace, profile: str) -> None:
    """More ranks than GPUs: some share one."""
    gpus = len({one.uuid for one in place.broker.fleet(WHO).gpus if not one.mig})
    ranks = gpus + 1
    job, found = _run(rows, "two on one GPU", place, _meet(), ranks, profile)
    rows.check("two on one GPU", "its backend", found.get("backend") == "gloo", found)
    summed = found.get("sum") == ranks * (ranks + 1) / 2
    rows.check("two on one GPU", "a sum of GPU tensors of all ranks", summed, found.get("sum"))
    if place.devices.simulated:
        return
    told = place.jobs.logs(WHO, job.id, 0, "err", 0).text
    said = "gloo instead of NCCL" in told
    rows.check("two on one GPU", "the log says why", said, told.strip().splitlines()[-1:])


def _bf16(rows: Rows, place: Workplace, profile: str) -> None:
    _, found = _run(rows, "bf16", place, _loop("bfloat16", 60), 1, profile)
    rows.check("bf16", "computed in", found.get("dtype") == "torch.bfloat16", found.get("dtype"))
    first, last = found.get("first", 0.0), found.get("last", 0.0)
    rows.check("bf16", "the loss falls", last < first, f"{first:.3f} → {last:.3f}")


def _out_of_memory(rows: Rows, place: Workplace, profile: str) -> None:
    job = place.launch(_take_too_much(), (), ranks=1, per_rank=profile, seconds=600)
    code = job.cause.code if job.cause else None
    wanted = "host_memory" if place.devices.simulated else "device_memory"
    rows.check("out of memory", f"diagnosed as {wanted}", code == wanted, job.message)


def _step_time(rows: Rows, place: Workplace, profile: str) -> None:
    """By turns: a program without us on the same device, and a job."""
    steps = 40 if place.devices.simulated else 400
    lease = place.lease(profile)
    visible = lease.slices[0].visible_device
    place.give_back(lease)
    bare: list[float] = []
    ours: list[float] = []
    for _ in range(BARE_ROUNDS):
        bare.append(_without_us(place, visible, steps))
        _, found = _run(rows, "step time", place, _loop("float32", steps), 1, profile)
        ours.append(float(found["step"]))
    ratio = median(ours) / median(bare)
    seen = f"{median(ours) * 1e3:.3f} ms, bare {median(bare) * 1e3:.3f} ms, ratio {ratio:.3f}"
    holds = None if place.devices.simulated else ratio <= WITHIN
    rows.check("step time", f"within {WITHIN - 1:.0%} of bare", holds, seen)


def _without_us(place: Workplace, visible: str, steps: int) -> float:
    """Seconds of a step of the same loop in a plain process, which sees the same device."""
    code = "import json, trains; print(json.dumps(trains._loop('float32', {})()))"
    path = os.pathsep.join([str(Path(__file__).parent), os.environ["PYTHONPATH"]])
    threads = str(min(8, os.cpu_count() or 1))
    done = subprocess.run(
        [sys.executable, "-c", code.format(steps)],
        env={
            **place.environment,
            "PYTHONPATH": path,
            "CUDA_VISIBLE_DEVICES": visible,
            "OMP_NUM_THREADS": threads,
        },
        capture_output=True,
        text=True,
        timeout=300,
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    return float(json.loads(done.stdout.splitlines()[-1])["step"])


def _run(
    rows: Rows, section: str, place: Workplace, function: Any, ranks: int, profile: str
) -> tuple[wire.Job, dict[str, Any]]:
    job = place.launch(function, (), ranks=ranks, per_rank=profile, seconds=600)
    if not rows.check(section, f"{ranks} × {profile}", job.state == "succeeded", job.message):
        text = place.jobs.logs(WHO, job.id, 0, "err", 0).text
        print(text[-2000:], flush=True)
        raise RuntimeError(job.message)
    found = place.result(job)
    return job, found if isinstance(found, dict) else {}


# --- what runs on the ranks: nested, so that it travels by value --------------------------------


def _meet() -> Callable[[], dict[str, Any]]:
    def meet() -> dict[str, Any]:
        import time

        import torch
        import torch.distributed as ranks

        cuda = torch.cuda.is_available()
        ranks.init_process_group("nccl" if cuda else "gloo")
        mine = torch.full((1 << 20,), float(ranks.get_rank() + 1), device="cuda" if cuda else "cpu")
        ranks.all_reduce(mine)
        found = {"backend": ranks.get_backend(), "sum": mine[0].item(), "at": time.time()}
        with open("/proc/self/cmdline") as file:
            found["forked"] = "nursery" in file.read()
        found["devices"] = torch.cuda.device_count()
        ranks.destroy_process_group()
        return found

    return meet


def _loop(dtype: str, steps: int) -> Callable[[], dict[str, Any]]:
    def loop() -> dict[str, Any]:
        import time
        from statistics import median

        import torch

        device = "cuda" if torch.cuda.is_available() else "cpu"
        torch.manual_seed(0)
        width = 4096 if device == "cuda" else 256
        x = torch.randn(1024 if device == "cuda" else 256, width, device=device)
        y = (x @ torch.randn(width, 1, device=device)).tanh()
        model = torch.nn.Sequential(
            torch.nn.Linear(width, width), torch.nn.ReLU(), torch.nn.Linear(width, 1)
        ).to(device)
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-2)
        losses, took = [], []
        kind = getattr(torch, dtype)
        for _ in range(steps):
            began = time.perf_counter()
            with torch.autocast(device, dtype=torch.bfloat16, enabled=dtype == "bfloat16"):
                out = model(x)
                loss = torch.nn.functional.mse_loss(out.float(), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())  # waits for the device
            took.append(time.perf_counter() - began)
        seen = str(out.dtype) if out.dtype == kind else f"{out.dtype}, not {kind}"
        step = median(took[steps // 4 :])
        return {"dtype": seen, "first": losses[0], "last": losses[-1], "step": step}

    return loop


def _take_too_much() -> Callable[[], None]:
    def take() -> None:
        import torch

        if not torch.cuda.is_available():
            torch.empty(1 << 50)
        kept = []
        while True:
            kept.append(torch.ones(1 << 28, device="cuda"))  # a GiB each

    return take
