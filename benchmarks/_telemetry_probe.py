"""Somebody else's requests while telemetry is watched: one after the other, on one connection.

    python -m benchmarks._telemetry_probe URL TOKEN COUNT PAUSE

Prints the milliseconds of each as a JSON list. PAUSE (seconds) lets them meet the sampler's and
the senders' rhythm at every point of it.
"""

from __future__ import annotations

import http.client
import json
import sys
import time
from urllib.parse import urlsplit


def main(url: str, token: str, count: int, pause: float) -> None:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=120)
    took = []
    for number in range(count + 10):
        began = time.perf_counter()
        connection.request("GET", parts.path, headers={"Authorization": f"token {token}"})
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200, answer.status
        if number >= 10:  # the first ones warm both sides up
            took.append((time.perf_counter() - began) * 1000)
        time.sleep(pause)
    print(json.dumps(took))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
