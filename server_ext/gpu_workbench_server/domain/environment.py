"""What of the server's environment a holder gets. Pure; the environment itself is the caller's.

A holder runs as the user, with the interpreter of the user's kernel: what steers another program
(loader tricks, another interpreter's path), what names the server's own secrets, and what another
lease left there is not for it.
"""

from __future__ import annotations

from collections.abc import Mapping

_DROPPED = frozenset(
    {
        "PYTHONPATH",
        "PYTHONHOME",
        "PYTHONSTARTUP",
        "JUPYTER_TOKEN",
        "CUDA_VISIBLE_DEVICES",
        "GPU_WORKBENCH_LEASE",
        "GPU_WORKBENCH_SLICES",
        "GPU_WORKBENCH_KEY",
        "GPU_WORKBENCH_SIMULATED",
        "GPU_WORKBENCH_MEMORY_BYTES",
        "GPU_WORKBENCH_MEMORY_SHARE",
        "GPU_WORKBENCH_RUN",
        "GPU_WORKBENCH_CHECKPOINTS",
        "GPU_WORKBENCH_RESUME",
    }
)
_DROPPED_PREFIXES = ("LD_", "DYLD_", "JUPYTERHUB_", "JPY_")

# In containers the driver's libraries are often found by this one only; it is the server's own,
# and whoever runs the server could set it for the holder as well.
_KEPT = frozenset({"LD_LIBRARY_PATH"})


def environment_for_holder(base: Mapping[str, str]) -> dict[str, str]:
    """`base` (the server's own environment) without what a holder must not inherit.

    The way to the server (`GPU_WORKBENCH_CONNECTION`) and the broker's name stay. The caller adds
    the lease's tags.
    """
    kept = {
        name: value
        for name, value in base.items()
        if name in _KEPT or not (name in _DROPPED or name.startswith(_DROPPED_PREFIXES))
    }
    # `setproctitle` (Dask uses it where installed) writes titles over the environment, and with it
    # over the tags by which a process is found again.
    return kept | {"SPT_NOENV": "1", "PYTHONUNBUFFERED": "1"}
