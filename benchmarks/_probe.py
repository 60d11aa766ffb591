"""Somebody else's requests while a server is busy: one after the other, on one connection.

    python -m benchmarks._probe URL TOKEN PAUSE

For each line `SECONDS` of its standard input it asks for so long, at least once, and prints the
milliseconds of each request as a JSON list. PAUSE (seconds) between them lets them meet the
server's own rhythm at every point of it. A request that takes a minute counts as one
of a minute.
"""

from __future__ import annotations

import http.client
import json
import sys
import time
from urllib.parse import urlsplit

LONGEST = 60.0


def main(url: str, token: str, pause: float) -> None:
    parts = urlsplit(url)
    for line in sys.stdin:
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=LONGEST)
        took: list[float] = []
        until = time.perf_counter() + float(line)
        while not took or time.perf_counter() < until:
            began = time.perf_counter()
            try:
                connection.request("GET", parts.path, headers={"Authorization": f"token {token}"})
                answer = connection.getresponse()
                answer.read()
                assert answer.status == 200, answer.status
            except TimeoutError:
                took.append(LONGEST * 1000)
                break
            took.append((time.perf_counter() - began) * 1000)
            time.sleep(pause)
        connection.close()
        # The first one opened the connection.
        print(json.dumps(took[1:] or took), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]))
