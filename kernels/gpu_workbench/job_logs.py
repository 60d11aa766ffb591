"""What a job's ranks wrote, for a notebook: whole, its end, or the lines with a word in them."""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlencode

from . import ansi
from . import protocol as wire
from .client import Client

Stream = Literal["out", "err"]

_STREAMS: tuple[Stream, ...] = ("out", "err")
_PRE = "font-size:var(--jp-code-font-size,12px);white-space:pre-wrap;margin:0"


class Text(str):
    """Text that a notebook shows as it is, in its colours, not as a quoted string."""

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return f'<pre style="{_PRE}">{ansi.html(chr(10).join(ansi.lines(self)))}</pre>'


def read(client: Client, job_id: str, rank: int, stream: Stream | None = None) -> Text:
    """All that a rank wrote, None: to stdout, then to stderr."""
    streams = (stream,) if stream else _STREAMS
    return Text("".join(_stream(client, job_id, rank, one) for one in streams))


def last(text: Text, tail: int | None) -> Text:
    """Its last lines; None is all."""
    return text if tail is None else Text("\n".join(text.splitlines()[-tail:]))


def search(
    client: Client, job_id: str, text: str, rank: int | None = None, stream: Stream | None = None
) -> Text:
    """`rank 1 err: RuntimeError: …` for each line that has `text`, whatever its case; those of the
    rank that failed first come first."""
    asked = {"text": text, "rank": rank, "stream": stream}
    query = urlencode({name: value for name, value in asked.items() if value is not None})
    path = f"jobs/{job_id}/logs/search?{query}"
    found = client.call("GET", path, returns=wire.LogMatches)
    lines = [f"rank {one.rank} {one.stream}: {one.text}" for one in found.matches]
    if found.more:
        lines.append("… and more: look for something longer, or in one rank")
    return Text("\n".join(lines))


def _stream(client: Client, job_id: str, rank: int, stream: Stream) -> str:
    pieces, offset = [], 0
    while True:
        query = urlencode({"rank": rank, "stream": stream, "offset": offset})
        chunk = client.call("GET", f"jobs/{job_id}/logs?{query}", returns=wire.LogChunk)
        pieces.append(chunk.text)
        if chunk.next_offset <= offset:
            return "".join(pieces)
        offset = chunk.next_offset
