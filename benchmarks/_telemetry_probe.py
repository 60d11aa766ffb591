"""Somebody else's requests while telemetry is watched: one after the other, on one connection.

    python -m benchmarks._telemetry_probe URL TOKEN COUNT PAUSE

Prints the milliseconds of each as a JSON list. PAUSE (seconds) lets them meet the sampler's and
the senders' rhythm at every point of it. After half a minute it stops, whatever COUNT says; a
request that takes a minute counts as one of a minute, and is the last.
"""

from __future__ import annotations

import http.client
import json
import sys
import time
from urllib.parse import urlsplit

ENOUGH, LONGEST = 30.0, 60.0


def main(url: str, token: str, count: int, pause: float) -> None:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=LONGEST)
    took: list[float] = []
    start = time.perf_counter()
    for number in range(count + 3):
        began = time.perf_counter()
        try:
            connection.request("GET", parts.path, headers={"Authorization": f"token {token}"})
            answer = connection.getresponse()
            answer.read()
        except TimeoutError:
            took.append(LONGEST * 1000)
            break
        assert answer.status == 200, answer.status
        over = time.perf_counter() > start + ENOUGH
        if number >= 3 or over:  # the first ones warm both sides up
            took.append((time.perf_counter() - began) * 1000)
        if over:
            break
        time.sleep(pause)
    print(json.dumps(took))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
