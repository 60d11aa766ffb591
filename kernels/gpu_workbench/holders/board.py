"""TensorBoard on one job: `python -m gpu_workbench.holders.board DIR`.

TensorBoard itself, served on a Unix socket that only this user may open (its own server listens on
a port and asks nobody who he is); the Jupyter server passes its pages on to whoever may see the
job. It shows the event files that the ranks wrote, where they lie, and what came by `gw.log` or a
CSV as event files beside. It ends when nobody has asked for a while, and with the job's directory.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from .files import write_json
from .followers import Follower, Lines, follower, without_tensorflow
from .hooks import noted_files
from .metrics import METRICS
from .sockets import remove_sockets, socket_directory

BOARD = "board"
"""Ours, in the job's directory. Its `status.json` says `{"socket": path}` or `{"error": text}`."""

IDLE_SECONDS = 900.0
_LOOK_SECONDS = 2.0


class Runs:
    """TensorBoard's directory of runs: a link for each directory of event files, and files of our
    own for the points of ranks that have none."""

    def __init__(self, job: Path, runs: Path) -> None:
        self._job = job
        self._runs = runs
        self._linked: dict[Path, Path] = {}
        self._followed: dict[Path, tuple[Follower, Any]] = {}

    def look(self) -> None:
        """Take in what is new."""
        for run in sorted(self._job.glob("attempt-*/rank-*")):
            attempt = run.parent.name.removeprefix("attempt-")
            name = run.name if attempt == "0" else f"{run.name}-restart-{attempt}"
            for path in noted_files(run):
                if path.suffix == ".csv":
                    self._follow(path, name)
                else:
                    self._link(path.parent, name)
            self._follow(run / METRICS, name)

    def _link(self, directory: Path, rank: str) -> None:
        if directory in self._linked or not directory.is_dir():
            return
        number = sum(one.name.startswith(f"{rank}-") for one in self._linked.values())
        link = self._runs / f"{rank}-{number}-{directory.name}"
        link.symlink_to(directory)
        self._linked[directory] = link

    def _follow(self, path: Path, rank: str) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        with contextlib.suppress(OSError):
            if not path.stat().st_size:
                return
            if path not in self._followed:
                kind = Lines(path) if path.name == METRICS else follower(str(path))
                self._followed[path] = (kind, EventFileWriter(str(self._runs / rank)))
            source, writer = self._followed[path]
            for point in source.new_points():
                values = [Summary.Value(tag=k, simple_value=v) for k, v in point["v"].items()]
                summary = Summary(value=values)
                writer.add_event(Event(wall_time=point["t"], step=point["s"], summary=summary))
            writer.flush()


def serve(job: Path) -> None:
    """Until nobody asks any more. Raises `ImportError` without TensorBoard."""
    without_tensorflow()
    from tensorboard import default, program
    from werkzeug.serving import make_server

    os.umask(0o077)
    place = job / BOARD
    runs = place / "runs"
    shutil.rmtree(runs, ignore_errors=True)
    runs.mkdir(parents=True)
    look = Runs(job, runs).look
    look()
    path = socket_directory(place) / "board.sock"
    path.unlink(missing_ok=True)
    asked = time.monotonic()

    def noting(app: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
        def noted(environ: Any, start_response: Any) -> Iterable[bytes]:
            nonlocal asked
            asked = time.monotonic()
            return app(environ, start_response)

        return noted

    class Served(program.TensorBoardServer):  # type: ignore[misc]
        def __init__(self, wsgi_app: Any, flags: Any) -> None:
            self._server = make_server(f"unix://{path}", 0, noting(wsgi_app), threaded=True)

        def serve_forever(self) -> None:
            self._server.serve_forever()

        def get_url(self) -> str:
            return f"unix://{path}"

    board = program.TensorBoard(plugins=default.get_plugins(), server_class=Served)
    # Its fast loader is a second server, on a port of its own.
    board.configure(
        argv=["tensorboard", "--logdir", str(runs), "--load_fast=false", "--reload_interval=3"]
    )
    board.launch()
    write_json(place / "status.json", {"socket": str(path)})
    try:
        while time.monotonic() - asked < IDLE_SECONDS and place.is_dir():
            time.sleep(_LOOK_SECONDS)
            look()
    finally:
        remove_sockets(path.parent, place)
        with contextlib.suppress(OSError):
            (place / "status.json").unlink()


def main(job: Path) -> int:
    try:
        serve(job)
    except ImportError as error:
        write_json(job / BOARD / "status.json", {"error": f"TensorBoard is missing: {error}"})
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
