"""What `import gpu_workbench` gives: few names, quickly, and nothing done."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys

import cloudpickle

import gpu_workbench as gw


def python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout


def test_the_notebook_api_is_these_names() -> None:
    assert gw.__all__ == [
        "GpuWorkbenchError",
        "attach",
        "checkpoint_dir",
        "cluster",
        "clusters",
        "compare",
        "ends_in",
        "job",
        "jobs",
        "launch",
        "leases",
        "log",
        "monitor",
        "rapids_status",
        "release",
        "request",
        "reservations",
        "reserve",
        "resume_from",
        "status",
        "sweep",
        "sweeps",
        "usage",
    ]
    assert dir(gw) == gw.__all__


def test_every_name_can_be_had_and_documents_itself() -> None:
    for name in gw.__all__:
        assert callable(getattr(gw, name)), name
        assert getattr(gw, name).__doc__, name


def test_a_submodule_does_not_hide_the_function_of_its_name() -> None:
    code = """
import gpu_workbench.cluster, gpu_workbench.attach, gpu_workbench.leases, gpu_workbench.status
import gpu_workbench as gw
print(*(type(getattr(gw, name)).__name__ for name in ("cluster", "attach", "leases", "status")))
"""
    assert python(code).split() == ["function"] * 4


def test_a_function_that_uses_it_can_be_sent_to_other_processes() -> None:
    assert pickle.loads(cloudpickle.dumps(gw)) is gw


def test_importing_loads_nothing_heavy() -> None:
    code = "import sys, json, gpu_workbench; print(json.dumps(sorted(sys.modules)))"
    loaded = set(json.loads(python(code)))
    assert not loaded & {"ipywidgets", "anywidget", "dask", "distributed", "torch", "IPython"}
    assert not loaded & {"msgspec", "http.client", "psutil", "jupyter_core"}
