"""SIGKILL at random moments while ten clients ask and give back: nothing leaks, nothing is lost.

A real Jupyter server with the extension, over HTTP. `GPU_WORKBENCH_KILLS` says how often; 200 in
the slow suite, 10 in the fast one. Clients do what any should: a key for each request, and the
same call again when the server was gone.
"""

from __future__ import annotations

import os
import random
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from gpu_workbench_server.store import FILE_NAME
from tests.support.lab import HttpError, LabServer
from tests.support.waiting import wait_for

KILLS = int(os.environ.get("GPU_WORKBENCH_KILLS", "200"))
CLIENTS = 10
# Of the simulated fleet that there is by default: a GPU that is shared, and one with MIG.
ASKS = {
    ("0.25", 1): 10_500,
    ("0.25", 2): 21_000,
    ("0.5", 1): 21_000,
    ("gpu", 1): 42_000,
    ("1g.10gb", 1): 6_000,
    ("1g.10gb", 2): 12_000,
    ("3g.40gb", 1): 18_000,
}
"""What and how many → parts, of which a GPU has `WHOLE`."""
WHOLE = 42_000
# The broker, its routes and its clock, without what Jupyter would start besides.
LEAN = {"ServerApp": {"terminals_enabled": False}}


@dataclass
class Client:
    """Asks, holds for a moment and gives back, until told to stop; keeps a book of its own."""

    lab: LabServer
    number: int
    stop: threading.Event
    leases: dict[int, tuple[float, float, int]] = field(default_factory=dict)
    """Lease id → from and until, as the server told them, and parts."""
    keys: dict[str, int] = field(default_factory=dict)
    """Idempotency key → request id."""
    trouble: list[str] = field(default_factory=list)
    retries: int = 0

    def run(self) -> None:
        chance = random.Random(self.number)
        try:
            while not self.stop.is_set():
                self._one(chance)
        except Exception as error:
            self.trouble.append(f"client {self.number}: {error!r}")

    def _one(self, chance: random.Random) -> None:
        key = f"{self.number}-{len(self.keys)}"
        what, count = chance.choice(list(ASKS))
        ask = {"what": what, "count": count, "key": key}
        request = self._surely("POST", "requests", ask)
        number = int(request["id"])
        self.keys[key] = number
        patience = time.monotonic() + chance.uniform(0.0, 3.0)
        while request["state"] == "queued" and time.monotonic() < patience:
            time.sleep(0.05)
            request = self._surely("GET", f"requests/{number}")
        if request["state"] == "queued":
            request = self._surely("DELETE", f"requests/{number}")
        if request["state"] != "granted":
            assert request["state"] == "cancelled", request
            return
        if chance.random() < 0.3:
            # Without a process: what still runs on a lease when it ends is killed.
            holder = {"kind": "cell", "id": key, "name": "a cell"}
            self._surely("POST", f"leases/{number}/bind", holder)
        time.sleep(chance.uniform(0.0, 0.3))
        lease = self._surely("DELETE", f"leases/{number}")
        assert lease["state"] == "ended", lease
        self.leases[number] = (lease["granted_at"], lease["ended_at"], ASKS[what, count])

    def _surely(self, method: str, path: str, body: Any = None) -> Any:
        """The same call again until a server answers it: each of them may be repeated."""
        deadline = time.monotonic() + 120
        while True:
            try:
                return self.lab.api(method, path, body, timeout=20)
            except HttpError as error:
                if error.status < 500 and error.status != 404:
                    raise
                if error.status == 404 and isinstance(error.body, dict) and "code" in error.body:
                    raise  # ours, and not Jupyter's before the extension is there
            except OSError:
                pass
            assert time.monotonic() < deadline, f"no answer to {method} {path}"
            self.retries += 1
            time.sleep(0.25)


def kill_loop(lab: LabServer, kills: int, seed: int = 1) -> tuple[list[Client], list[float]]:
    """Kill and start again; the clients' books, and for how long each server lived."""
    chance = random.Random(seed)
    stop = threading.Event()
    clients = [Client(lab, number, stop) for number in range(CLIENTS)]
    threads = [threading.Thread(target=one.run) for one in clients]
    for thread in threads:
        thread.start()
    lived = []
    try:
        for number in range(kills):
            # Half of them die while they start, open the store or take up what they find, or when
            # they have just come; the others at work.
            if number % 2 == 0:
                time.sleep(chance.uniform(0.0, 4.0))
            else:
                lab.wait_up()
                time.sleep(chance.uniform(0.0, 1.0))
            began = psutil.Process(lab.pid).create_time()
            lab.kill9()
            lived.append(time.time() - began)
            lab.spawn()
            assert not any(one.trouble for one in clients), [one.trouble for one in clients]
        lab.wait_up()
    finally:
        stop.set()
        if lab.process is not None and lab.process.poll() is not None:
            lab.spawn()
        for thread in threads:
            thread.join(150)
    return clients, lived


def rows(path: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return connection.execute(query).fetchall()


def faults(path: Path, clients: list[Client]) -> list[str]:
    """Everything that is wrong in the store, by SQL and by the clients' own books."""
    found: list[str] = []

    def nothing(sentence: str, query: str) -> None:
        found.extend(f"{sentence}: {row}" for row in rows(path, query))

    nothing("not over", "SELECT id, state FROM leases WHERE state <> 'ended' OR NOT cleared")
    nothing("still queued", "SELECT id FROM requests WHERE state = 'queued'")
    nothing("still occupied", "SELECT device, parts FROM occupancy WHERE parts <> 0")
    nothing(
        "over and not in the ledger",
        "SELECT id FROM leases WHERE id NOT IN (SELECT lease_id FROM ledger)",
    )
    nothing(
        "ledger and lease differ",
        "SELECT l.id FROM leases l JOIN ledger g ON g.lease_id = l.id WHERE g.start <> l.granted_at"
        ' OR g."end" <> l.ended_at OR g.parts <> l.parts',
    )
    nothing(
        "granted without a lease",
        "SELECT id FROM requests WHERE state = 'granted' AND id NOT IN (SELECT id FROM leases)",
    )
    nothing(
        "not as many slices as asked for",
        "SELECT r.id FROM requests r LEFT JOIN slices s ON s.lease_id = r.id GROUP BY r.id"
        " HAVING COUNT(s.id) <> CASE r.state WHEN 'granted' THEN r.count ELSE 0 END",
    )
    nothing("a key twice", 'SELECT "key" FROM requests GROUP BY 1 HAVING COUNT(*) > 1')
    found += overlaps(path)

    ledger = {
        row[0]: row[1:] for row in rows(path, 'SELECT lease_id, start, "end", parts FROM ledger')
    }
    seen = {number: book for one in clients for number, book in one.leases.items()}
    for number, book in seen.items():
        if ledger.get(number) != book:
            found.append(f"lease {number}: the client saw {book}, the ledger {ledger.get(number)}")
    if ledger.keys() != seen.keys():
        found.append(f"leases that no client knows: {sorted(ledger.keys() ^ seen.keys())}")
    held = sum((end - begin) * parts / WHOLE for begin, end, parts in ledger.values())
    counted = sum((until - since) * parts / WHOLE for since, until, parts in seen.values())
    if abs(held - counted) > 0.5:
        found.append(f"the ledger has {held:.3f} GPU-seconds, the clients counted {counted:.3f}")
    known = {number for one in clients for number in one.keys.values()}
    there = {row[0] for row in rows(path, "SELECT id FROM requests")}
    if known != there:
        found.append(f"requests that no client knows: {sorted(there ^ known)}")
    return found


def overlaps(path: Path) -> list[str]:
    """No moment at which more of a GPU was held than there is, from grant to end."""
    events: dict[str, list[tuple[float, int, int]]] = {}
    query = (
        "SELECT s.gpu, CASE s.kind WHEN 'whole' THEN 42000 ELSE s.parts END, l.granted_at,"
        " l.ended_at, l.id FROM slices s JOIN leases l ON l.id = s.lease_id"
    )
    for gpu, parts, since, until, _ in rows(path, query):
        events.setdefault(gpu, []).extend([(since, 1, parts), (until, 0, -parts)])
    found = []
    for gpu, moments in events.items():
        held = 0
        for at, _, parts in sorted(moments):
            held += parts
            if held > WHOLE:
                found.append(f"{gpu} was held {held / WHOLE:g} times at {at}")
    return found


def check(tmp_path: Path, kills: int, say: Callable[[str], object] = print) -> None:
    lab = LabServer(tmp_path, workbench={"lease_ttl": 15, "tick_seconds": 0.2}, config=LEAN)
    began = time.monotonic()
    lab.start()
    try:
        clients, lived = kill_loop(lab, kills)
        assert not any(one.trouble for one in clients), [one.trouble for one in clients]
        lab.wait_up()
        wait_for(
            lambda: (status := lab.api("GET", "status"))["units_free"] == status["units_total"],
            60,
            "every slice free again",
        )
    finally:
        lab.stop()
    (path,) = lab.data_dir.rglob(FILE_NAME)
    assert faults(path, clients) == []
    leases = sum(len(one.leases) for one in clients)
    asked = sum(len(one.keys) for one in clients)
    say(
        f"{len(lived)} kills in {time.monotonic() - began:.0f} s, servers of {min(lived):.2f} to "
        f"{max(lived):.2f} s; {asked} requests, {leases} leases, "
        f"{sum(one.retries for one in clients)} calls repeated"
    )
    assert leases > kills / 2, "too little went on"


def test_ten_kills_leak_no_slice_and_lose_no_second(tmp_path: Path) -> None:
    check(tmp_path, 10)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_two_hundred_kills_leak_no_slice_and_lose_no_second(tmp_path: Path) -> None:
    check(tmp_path, KILLS)
