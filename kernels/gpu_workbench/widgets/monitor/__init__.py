"""`gw.monitor()`: activity and memory of my slices over the last two minutes, live in the notebook.

The window goes to the browser as one `Bytes` trait, once a second, from a thread: so it moves while
a cell runs. All that comes back is whether anybody sees it: while nobody does (scrolled away, tab
hidden, output cleared) nothing is asked of the server. Beside the widget the cell has a still
picture, renewed now and then, which is what remains where no widget lives: in a notebook that is
opened without its kernel, or converted.
"""

from __future__ import annotations

import threading
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets

from ...client import get_client
from ...errors import GpuWorkbenchError
from .picture import figures, still
from .source import Source, Target

if TYPE_CHECKING:
    from ...gpu_cluster import GpuCluster
    from ...leases import LeaseHandle
    from ...training import JobHandle

STILL_SECONDS = 10.0
# A server that does not answer for this long is not waited for any more.
_PATIENCE_SECONDS = 120.0


class MonitorView(anywidget.AnyWidget):  # type: ignore[misc]
    """A chart a slice. `stop` freezes it, `close` removes it; it ends with its kernel."""

    _esm = Path(__file__).parent / "index.js"
    _css = Path(__file__).parent / "style.css"

    subjects = traitlets.List(traitlets.Dict()).tag(sync=True)
    """`label` and `memory` (the limit, in GB) of each subject, in the order of `window`."""
    window = traitlets.Bytes().tag(sync=True)
    """See `window.Window`."""
    state = traitlets.Unicode("live").tag(sync=True)
    """`live`, or why it stands still."""
    notes = traitlets.Unicode("").tag(sync=True)
    key = traitlets.Unicode("").tag(sync=True)
    """Which still picture is ours to hide while a view lives."""
    seen = traitlets.Bool(True).tag(sync=True)
    """Set by the views: whether any of them is on the screen."""

    def __init__(self, source: Source, simulated: bool = False, **traits: Any) -> None:
        self._source = source
        self._simulated = simulated
        self._ended = threading.Event()
        self._looked_at = threading.Event()
        self._looked_at.set()
        self._still: Any = None
        source.step()
        super().__init__(key=uuid.uuid4().hex, **traits)
        self._publish()
        self._thread = threading.Thread(target=self._run, name="gpu-workbench-monitor", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stand still; the last picture stays."""
        if not self._ended.is_set():
            self._end("stopped")

    def close(self) -> None:
        self._ended.set()
        self._looked_at.set()
        super().close()

    # --- the thread -----------------------------------------------------------------------------

    def _run(self) -> None:
        answered = due = drawn = time.monotonic()
        while True:
            due = max(due + 1.0, time.monotonic())
            if self._ended.wait(due - time.monotonic()) or self.comm is None:
                return
            rested = not self._looked_at.is_set()
            if rested:
                self._draw_still()
                self._looked_at.wait()
                if self._ended.is_set():
                    return
                answered = time.monotonic()
            try:
                if rested:
                    self._source.catch_up()
                else:
                    self._source.step()
            except GpuWorkbenchError as error:
                if error.code != "unavailable" and time.monotonic() - answered > _PATIENCE_SECONDS:
                    self._end(error.message)
                    return
                self._source.window.step({})
            else:
                answered = time.monotonic()
            self._publish()
            if self._source.over:
                self._end(self._source.over)
                return
            if time.monotonic() - drawn >= STILL_SECONDS:
                drawn = time.monotonic()
                self._draw_still()

    @traitlets.observe("seen")  # type: ignore[untyped-decorator]
    def _on_seen(self, change: Any) -> None:
        if change["new"]:
            self._looked_at.set()
        else:
            self._looked_at.clear()

    def _end(self, why: str) -> None:
        self._ended.set()
        self._looked_at.set()
        self.state = why
        self._draw_still()

    # --- what is shown --------------------------------------------------------------------------

    def _publish(self) -> None:
        window = self._source.window
        told = [{"label": one.label, "memory": round(one.memory_gb, 2)} for one in window.subjects]
        # One message: a view must never see new subjects with the old window.
        with self.hold_sync():
            if told != self.subjects:
                self.subjects = told
            self.notes = self._notes()
            self.window = window.encode()

    def _notes(self) -> str:
        words = ["simulated GPUs"] if self._simulated else []
        if not self._source.window.subjects:
            words.append("no slice yet")
        if self._source.more:
            words.append(f"and {self._source.more} more, see the dashboard")
        return " · ".join(words)

    def _picture(self) -> dict[str, str]:
        notes = self._notes() + ("" if self.state == "live" else f" · {self.state}")
        html = still(self._source.window, self.key, notes.strip(" ·"), time.time())
        return {"text/html": html, "text/plain": repr(self)}

    def _draw_still(self) -> None:
        if self._still is not None:
            self._still.update(self._picture(), raw=True)

    def _ipython_display_(self) -> None:
        """Two outputs: the still picture, and the live view, which hides it while it lives."""
        from IPython import display

        show: Any = display.display
        if self._still is None:
            self._still = show(self._picture(), raw=True, display_id=True)
        shown = self._repr_mimebundle_()
        if shown is not None:
            bundle, metadata = shown
            # Nothing but the view: who can't show it has the picture already.
            kept = {kind: one for kind, one in bundle.items() if "widget-view" in kind}
            show({**kept, "text/plain": ""}, metadata=metadata, raw=True)

    def __repr__(self) -> str:
        window = self._source.window
        told = [f"{one.label}: {figures(window.track(one.id), one)}" for one in window.subjects]
        return "\n".join(told) or "nothing to show"


def monitor(
    what: LeaseHandle | JobHandle | GpuCluster | int | str | None = None,
    *,
    gpu: str | int | None = None,
) -> MonitorView:
    """A live view of your slices, of one lease, job or cluster, or of one GPU (name, index, UUID).

    Without any of these it follows whatever you hold, and shows the GPUs while you hold nothing. A
    lease's number and a job's id do as well. Raises `GpuWorkbenchError`.

        gw.monitor()
        gw.monitor(job)
        gw.monitor(gpu="gpu0")
    """
    client = get_client()
    return MonitorView(Source(client, _target(what, gpu)), client.status().simulated)


def _target(what: Any, gpu: str | int | None) -> Target:
    if gpu is not None or what is None:
        return Target(gpu=gpu)
    if isinstance(what, int):
        return Target(lease=what)
    if isinstance(what, str):
        return Target(job=what)
    if isinstance(what.id, int):
        return Target(lease=what.id)
    cluster = what.id.startswith("cluster-")
    return Target(cluster=what.id) if cluster else Target(job=what.id)
