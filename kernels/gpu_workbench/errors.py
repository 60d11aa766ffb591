"""The one error that a notebook meets: what happened, and what would work."""

from __future__ import annotations


class GpuWorkbenchError(Exception):
    """Something can't be had or done. `code` is from the server's list, or `no_server`."""

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        self.code = code
        self.message = message
        self.hint = hint
        super().__init__(code, message, hint)

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()

    def _render_traceback_(self) -> list[str]:
        """IPython shows this instead of thirty lines of our own code."""
        return [
            f"{type(self).__name__} ({self.code}): {self.message}",
            *([self.hint] * bool(self.hint)),
        ]


def no_server(detail: str = "") -> GpuWorkbenchError:
    """No server of this user can be reached."""
    return GpuWorkbenchError(
        "no_server",
        "No running Jupyter server with GPU Workbench was found for this user"
        + (f" ({detail})." if detail else "."),
        "Start JupyterLab (`jupyter lab`) and run this in one of its notebooks, or set "
        "GPU_WORKBENCH_CONNECTION to the connection file of your server.",
    )
