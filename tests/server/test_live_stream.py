"""A stream that two threads write to: whatever either sends arrives whole."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tornado.iostream import IOStream

from gpu_workbench_server.web.live_stream import LiveStream


class Pipe:
    """A real connection with small buffers: ours is `way`, and `other` reads when it likes."""

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            self.other = socket.create_connection(listening.getsockname())
            ours, _ = listening.accept()
        self.other.setblocking(False)
        self.stream = IOStream(ours)
        self.way = LiveStream(self.stream)

    async def read(self, size: int) -> bytes:
        loop, found = asyncio.get_running_loop(), bytearray()
        async with asyncio.timeout(20):
            while len(found) < size:
                found += await loop.sock_recv(self.other, 1 << 16)
        return bytes(found)

    def fill(self) -> int:
        """Offer until nothing more is taken: bytes that are on their way."""
        sent = 0
        while self.way.offer(FRAME):
            sent += len(FRAME)
        return sent


FRAME = b"[" + b"t" * 998 + b"]"


@contextmanager
def a_pipe() -> Iterator[Pipe]:
    found = Pipe()
    yield found
    found.stream.close()
    found.other.close()


async def test_what_the_system_did_not_take_of_a_frame_goes_out_before_anything_else(
    jp_asyncio_loop: Any,
) -> None:
    with a_pipe() as pipe:
        sent = pipe.fill()
        news = pipe.stream.write(b"{news}")  # queued while the end of a frame may still be here
        got = await pipe.read(sent + 6)
        await news
        assert got == FRAME * (sent // len(FRAME)) + b"{news}"
        assert pipe.way.offer(FRAME), "there is room again"
        assert await pipe.read(len(FRAME)) == FRAME


async def test_a_frame_waits_for_no_reader_and_the_rest_of_it_for_nobody_else(
    jp_asyncio_loop: Any,
) -> None:
    with a_pipe() as pipe:
        sent = pipe.fill()
        assert not pipe.way.offer(FRAME)
        assert await pipe.read(sent) == FRAME * (sent // len(FRAME)), "its end came without more"


async def test_nothing_comes_between_the_writes_of_one_message(jp_asyncio_loop: Any) -> None:
    with a_pipe() as pipe:
        with pipe.way.whole() as stream:
            stream.write(b"{he")
            other = threading.Thread(target=pipe.way.offer, args=(FRAME,))
            other.start()
            other.join()
            stream.write(b"ad}")
        assert await pipe.read(6) == b"{head}"


async def test_frames_and_messages_of_two_threads_arrive_whole(jp_asyncio_loop: Any) -> None:
    with a_pipe() as pipe:
        count = [0, 0]
        over = threading.Event()

        def sampler() -> None:
            while not over.is_set():
                count[0] += pipe.way.offer(FRAME)

        other = threading.Thread(target=sampler)
        other.start()
        got = bytearray()
        message = b"{" + b"n" * 500, b"n" * 5000 + b"}"
        while count[0] < 2000 or count[1] < 500:
            with pipe.way.whole() as stream:
                last = [stream.write(piece) for piece in message][-1]
            count[1] += 1
            while not last.done():
                got += await pipe.read(1)
        over.set()
        other.join()
        size = count[0] * len(FRAME) + count[1] * sum(map(len, message))
        got += await pipe.read(size - len(got)) if size > len(got) else b""
        assert len(got) == size
        left = bytes(got).replace(FRAME, b"").replace(b"".join(message), b"")
        assert left == b"", left[:100]


async def test_nothing_is_sent_once_it_is_closed(jp_asyncio_loop: Any) -> None:
    with a_pipe() as pipe:
        assert pipe.way.offer(FRAME)
        pipe.stream.close()
        assert not pipe.way.offer(FRAME)
