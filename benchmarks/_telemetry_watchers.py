"""Watchers of a telemetry benchmark: many real WebSocket connections in one cheap process.

    python -m benchmarks._telemetry_watchers URL TOKEN COUNT [MESSAGE] [stalled]

Connects all, sends MESSAGE on each, prints "ready N" and obeys the lines of its standard input:
`count SECONDS` prints JSON of what came (messages, bytes, and ages in ms of those that carry a
time), `send MESSAGE` sends that on each and prints to how many. After `rest` what comes waits in
the system until `read`: as if they were on other machines, whose CPU this is not. Reads frames by
hand: a library would need more CPU than the server. Pings are answered, or the server would hang
up after a while. `stalled`: reads nothing, for as long as it lives.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import struct
import sys
import time
from dataclasses import dataclass, field
from statistics import median, quantiles
from urllib.parse import urlsplit

PATIENCE = 60.0
"""Seconds; who is not connected by then is not counted: a server may be that busy already."""

TEXT, BINARY, PING, PONG = 1, 2, 9, 10

_TIME = re.compile(rb'^\{"time": ([0-9.]+)')
_TICK = struct.Struct("<BBHHHd")


@dataclass
class Count:
    messages: int = 0
    size: int = 0
    ages: list[float] = field(default_factory=list)
    on: bool = False

    def take(self, binary: bool, payload: bytes) -> None:
        if not self.on:
            return
        at = time.time()
        if binary:
            self.ages.append((at - _TICK.unpack_from(payload)[-1]) * 1000)
        elif found := _TIME.match(payload):
            self.ages.append(at * 1000 - float(found[1]))
        else:
            return  # an event or a greeting: not a figure
        self.messages += 1
        self.size += len(payload)


class Client(asyncio.Protocol):
    """One connection: upgrades, sends what there is to send, counts what comes."""

    def __init__(self, request: bytes, message: str, count: Count, stalled: bool) -> None:
        self.ready = asyncio.get_running_loop().create_future()
        self._request, self._message, self._count = request, message, count
        self._stalled = stalled
        self._buffer = bytearray()
        self._open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._open:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            assert self._buffer.startswith(b"HTTP/1.1 101"), bytes(self._buffer[:200])
            del self._buffer[: end + 4]
            self._open = True
            if self._message:
                self.say(self._message)
            self.ready.set_result(None)
            if self._stalled:
                self._transport.pause_reading()
                return
        self._frames()

    def rest(self, resting: bool) -> None:
        if resting and self._transport.is_reading():
            self._transport.pause_reading()
        elif not resting and not self._transport.is_closing():
            self._transport.resume_reading()

    def say(self, message: str) -> bool:
        """False where the server has hung up."""
        if self._transport.is_closing():
            return False
        self._transport.write(framed(TEXT, message.encode()))
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ready.done():
            self.ready.set_exception(exc or ConnectionError("closed"))

    def _frames(self) -> None:
        buffer, at = self._buffer, 0
        while len(buffer) - at >= 2:
            size, start = buffer[at + 1] & 0x7F, at + 2
            if size >= 126:
                wide = 2 if size == 126 else 8
                if len(buffer) < start + wide:
                    break
                size, start = int.from_bytes(buffer[start : start + wide], "big"), start + wide
            if len(buffer) < start + size:
                break
            opcode, at = buffer[at] & 0x0F, start + size
            if opcode in (TEXT, BINARY):
                self._count.take(opcode == BINARY, bytes(buffer[start:at]))
            elif opcode == PING:
                self._transport.write(framed(PONG, bytes(buffer[start:at])))
        del buffer[:at]


def framed(opcode: int, payload: bytes) -> bytes:
    """A masked frame of up to 125 bytes, as a client must send it; the mask is zero."""
    return bytes((0x80 | opcode, 0x80 | len(payload))) + bytes(4) + payload


async def main(url: str, token: str, count: int, message: str, stalled: bool) -> None:
    parts = urlsplit(url)
    key = base64.b64encode(os.urandom(16)).decode()
    request = (
        f"GET {parts.path}?token={token} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
        "Upgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
    ).encode()
    loop, counted = asyncio.get_running_loop(), Count()

    async def connect() -> Client:
        _, client = await loop.create_connection(
            lambda: Client(request, message, counted, stalled),
            parts.hostname,
            parts.port,
        )
        await client.ready
        return client

    tasks = [asyncio.create_task(connect()) for _ in range(count)]
    done, _ = await asyncio.wait(tasks, timeout=PATIENCE)
    clients = [task.result() for task in done]
    print(f"ready {len(done)}", flush=True)
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        verb, _, rest = line.strip().partition(" ")
        if verb == "send":
            print(sum(client.say(rest) for client in clients), flush=True)
        elif verb in ("rest", "read"):
            for client in clients:
                client.rest(verb == "rest")
            print(verb, flush=True)
        elif verb == "count":
            print(json.dumps(await figures(counted, float(rest))), flush=True)


async def figures(counted: Count, seconds: float) -> dict[str, float]:
    counted.messages, counted.size, counted.ages = 0, 0, []
    began, counted.on = time.monotonic(), True
    await asyncio.sleep(seconds)
    counted.on = False
    ages = counted.ages or [0.0, 0.0]
    return {
        "seconds": time.monotonic() - began,
        "messages": counted.messages,
        "bytes": counted.size,
        "age_p50_ms": median(ages),
        "age_p99_ms": quantiles(ages, n=100)[98] if len(ages) > 1 else ages[0],
    }


if __name__ == "__main__":
    url_, token_, count_, *rest_ = sys.argv[1:]
    asyncio.run(main(url_, token_, int(count_), rest_[0] if rest_ else "", "stalled" in rest_[1:]))
