"""Settings: traits of the server plugin, JupyterLab's own settings, environment variables."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import markdown
from traitlets.config import Configurable

from gpu_workbench.provisioner import SliceProvisioner
from gpu_workbench_server.app import GpuWorkbenchApp

ROOT = Path(__file__).resolve().parents[2]
VARIABLE = re.compile(
    r'(?P<above>(?:^# .+\n)+)?^[A-Z_]+_ENV = "(?P<name>GPU_WORKBENCH_\w+)"(?: +# (?P<beside>.+))?'
    r'(?:\n"""(?P<under>[^"]+)""")?',
    re.MULTILINE,
)
SCHEMA = ROOT / "labext/schema/plugin.json"


def page() -> str:
    return markdown.page(
        "Settings",
        "Who runs the server sets the first two, who sits in front of JupyterLab the third; "
        "the last is what our processes tell each other.",
        "## Server",
        "In a Jupyter configuration file (`c.GpuWorkbenchApp.lease_ttl = 120`) or on the command "
        "line (`--GpuWorkbenchApp.lease_ttl=120`). Durations are seconds, limits GPU units.",
        markdown.table(["setting", "type", "default", "what it does"], traits(GpuWorkbenchApp)),
        "## Kernel spec",
        "In `metadata.kernel_provisioner.config` of a `kernel.json`, without the class's name.",
        markdown.table(["setting", "type", "default", "what it does"], traits(SliceProvisioner)),
        "## JupyterLab",
        "In JupyterLab's settings editor, under “GPU Workbench”.",
        markdown.table(["setting", "type", "default", "what it does"], lab_settings()),
        "## Environment",
        "Set by the server for what it starts; a script may read them and should not set them.",
        markdown.table(["variable", "what it holds"], variables()),
    )


def traits(app: type[Configurable]) -> list[tuple[str, ...]]:
    """Those that the class adds; what it inherits of jupyter_server is documented there."""
    return [
        (
            markdown.code(f"{app.__name__}.{name}"),
            trait.info(),
            markdown.code(trait.default_value_repr()),
            trait.help,
        )
        for name, trait in sorted(app.class_own_traits(config=True).items())
    ]


def lab_settings() -> list[tuple[str, ...]]:
    properties: dict[str, dict[str, Any]] = json.loads(SCHEMA.read_text())["properties"]
    return [
        (
            markdown.code(name),
            str(one.get("type", "")),
            markdown.code(json.dumps(one["default"])) if "default" in one else "",
            f"{one['title']}. {one.get('description', '')}",
        )
        for name, one in sorted(properties.items())
    ]


def variables() -> list[tuple[str, ...]]:
    """The `*_ENV` constants of both packages; the comment nearest to one explains it."""
    packages = (ROOT / "kernels/gpu_workbench", ROOT / "server_ext/gpu_workbench_server")
    sources = [path.read_text() for package in packages for path in sorted(package.rglob("*.py"))]
    found = {}
    for one in (one for source in sources for one in VARIABLE.finditer(source)):
        above = (one["above"] or "").replace("# ", "")
        found[markdown.code(one["name"])] = one["beside"] or one["under"] or above
    return sorted(found.items())
