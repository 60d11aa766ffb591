"""Running code in a server's kernel, through the connection file that the kernel has."""

from __future__ import annotations

import time

from jupyter_client.blocking.client import BlockingKernelClient

from tests.support.lab import LabServer


def run_in_kernel(server: LabServer, kernel_id: str, code: str, seconds: float = 120.0) -> str:
    """Run code and return what it printed; AssertionError where it raises."""
    client = BlockingKernelClient()
    client.load_connection_file(str(server.runtime_dir / f"kernel-{kernel_id}.json"))
    client.start_channels()
    printed: list[str] = []
    try:
        _wait_until_ready(client, seconds)
        reply = client.execute_interactive(
            code, timeout=seconds, output_hook=lambda message: _take(message, printed)
        )
    finally:
        client.stop_channels()
    assert reply["content"]["status"] == "ok", reply["content"]
    return "".join(printed)


def _wait_until_ready(client: BlockingKernelClient, seconds: float) -> None:
    """On a busy machine a kernel misses its first heartbeats and is taken for dead: ask again."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            client.wait_for_ready(timeout=seconds)
            return
        except RuntimeError:
            if time.monotonic() > deadline:
                raise


def _take(message: dict[str, object], printed: list[str]) -> None:
    content = message["content"]
    assert isinstance(content, dict)
    if message["msg_type"] == "stream":
        printed.append(content["text"])
    elif message["msg_type"] in ("execute_result", "display_data"):
        printed.append(content["data"]["text/plain"])
