"""The kernel spec "Python 3 (GPU slice)": what it says, and one for each profile if wanted.

A start request carries no parameters but the spec's name, so what a kernel asks for stands in the
spec: `metadata.kernel_provisioner.config`, whose keys are the traits of `SliceProvisioner`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

PROVISIONER = "gpu-workbench-provisioner"
DISPLAY_NAME = "Python 3 (GPU slice)"


def spec(ask: str = "", hours: float | None = None) -> dict[str, Any]:
    """Content of a `kernel.json`; `ask` as in `gw.request`, "" for the smallest slice on offer."""
    config: dict[str, Any] = {}
    if ask:
        config["ask"] = ask
    if hours is not None:
        config["hours"] = hours
    return {
        # "python" is replaced by the server's own interpreter; the extension sets the memory caps.
        "argv": [
            "python",
            "-m",
            "ipykernel_launcher",
            "-f",
            "{connection_file}",
            "--ext=gpu_workbench",
        ],
        "display_name": f"{DISPLAY_NAME} ({ask})" if ask else DISPLAY_NAME,
        "language": "python",
        "metadata": {
            # As ipykernel's own spec has them: a spec without would lose both.
            "debugger": True,
            "supported_encryption": ["curve"],
            "kernel_provisioner": {"provisioner_name": PROVISIONER, "config": config},
        },
        "kernel_protocol_version": "5.5",
    }


def write(folder: Path, ask: str = "", hours: float | None = None) -> Path:
    """Write a spec into `folder`, for `jupyter kernelspec install folder`; returns the file."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "kernel.json"
    file.write_text(json.dumps(spec(ask, hours), indent=2) + "\n")
    return file
