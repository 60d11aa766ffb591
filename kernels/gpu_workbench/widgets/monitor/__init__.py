"""`gw.monitor()`: activity and memory of my slices over the last two minutes, live in the notebook.

The window goes to the browser as one `Bytes` trait, once a second, from a thread: so it moves while
a cell runs. Nothing comes back from the browser. Where the widget can't live (a notebook opened
without its kernel, a converted one) the picture of the moment it was shown stands in its place.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets

from ...client import get_client
from ...errors import GpuWorkbenchError
from .picture import still
from .source import Source

if TYPE_CHECKING:
    from ...leases import LeaseHandle

# A server that does not answer for this long is not waited for any more.
_PATIENCE_SECONDS = 120.0


class MonitorView(anywidget.AnyWidget):  # type: ignore[misc]
    """Two charts a slice. `stop` freezes it, `close` removes it; it ends with its kernel."""

    _esm = Path(__file__).parent / "index.js"
    _css = Path(__file__).parent / "style.css"

    subjects = traitlets.List(traitlets.Dict()).tag(sync=True)
    """`label` and `memory` (the limit, in GB) of each subject, in the order of `window`."""
    window = traitlets.Bytes().tag(sync=True)
    """See `window.Window`."""
    state = traitlets.Unicode("live").tag(sync=True)
    """`live`, or why it stands still."""
    simulated = traitlets.Bool(False).tag(sync=True)

    def __init__(self, source: Source, simulated: bool = False, **traits: Any) -> None:
        self._source = source
        self._ended = threading.Event()
        source.step()
        super().__init__(simulated=simulated, **traits)
        self._publish()
        self._thread = threading.Thread(target=self._run, name="gpu-workbench-monitor", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stand still; the last picture stays."""
        if not self._ended.is_set():
            self._ended.set()
            self.state = "stopped"

    def close(self) -> None:
        self._ended.set()
        super().close()

    def _run(self) -> None:
        answered = time.monotonic()
        due = answered
        while True:
            due = max(due + 1.0, time.monotonic())
            if self._ended.wait(due - time.monotonic()) or self.comm is None:
                return
            try:
                self._source.step()
            except GpuWorkbenchError as error:
                if error.code != "unavailable" and time.monotonic() - answered > _PATIENCE_SECONDS:
                    self.state = error.message
                    return
                self._source.window.step({})
            else:
                answered = time.monotonic()
            self._publish()
            if self._source.over:
                self.state = "The lease has ended."
                return

    def _publish(self) -> None:
        window = self._source.window
        told = [
            {"label": one.label, "memory": round(one.memory_bytes / (1 << 30), 2)}
            for one in window.subjects
        ]
        # One message: a view must never see new subjects with the old window.
        with self.hold_sync():
            if told != self.subjects:
                self.subjects = told
            self.window = window.encode()

    def __repr__(self) -> str:
        return "; ".join(one["label"] for one in self.subjects) or "nothing to show"

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        shown = super()._repr_mimebundle_(**kwargs)
        if shown is None:
            return None
        bundle, metadata = shown
        bundle["text/html"] = still(self._source.window)
        return bundle, metadata


def monitor(lease: LeaseHandle | int | None = None, *, gpu: str | int | None = None) -> MonitorView:
    """A live view of your slices, of one lease, or of one GPU (its name, index or UUID).

    Without a lease or a GPU it follows whatever you hold, and shows the GPUs while you hold
    nothing. Raises `GpuWorkbenchError`.

        gw.monitor()
    """
    client = get_client()
    lease_id = lease if lease is None or isinstance(lease, int) else lease.id
    return MonitorView(Source(client, lease_id, gpu), client.status().simulated)
