"""A PostgreSQL of the tests' own, from the system's package, started and stopped by them.

It listens on no network, only on a socket in a directory of its own. PostgreSQL refuses to run as
root: then it runs as the user `postgres` that the package makes.

    with Postgres() as server:
        SqlStore.open(server.database())
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from itertools import count
from pathlib import Path

from gpu_workbench_server.store.sql import SqlStore

from .scratch import scratch

SERVER_USER = "postgres"
OWNER = "broker"
"""The role that owns the databases; it needs no password, any other one does."""
_MIGRATED = "migrated"
ROOM = 2 << 30
"""Bytes. A database is 370 files of 11 MB: on a disk, making one takes ten times as long."""


def programs() -> Path | None:
    """The folder of initdb and pg_ctl; None where PostgreSQL is not installed."""
    if os.geteuid() == 0 and not _has_user():
        return None
    # Debian keeps them off the PATH, a folder for each version.
    debian = Path("/usr/lib/postgresql")
    folders = sorted(debian.glob("*/bin"), key=lambda one: float(one.parent.name), reverse=True)
    found = shutil.which("initdb")
    return next(iter([*folders, *([Path(found).parent] if found else [])]), None)


def _has_user() -> bool:
    return any(one.pw_name == SERVER_USER for one in pwd.getpwall())


class Postgres:
    """One server. `durable` is whether it waits for the disk as one in earnest does."""

    def __init__(self, *, durable: bool = False) -> None:
        folder = programs()
        assert folder is not None, "PostgreSQL is not installed: apt install postgresql"
        self._programs = folder
        # Not pytest's tmp_path: the server's user may not enter that, and a socket's path is short.
        self.root = Path(tempfile.mkdtemp(prefix="pg-")) if durable else scratch("pg-", ROOM)
        self.data = self.root / "data"
        self.durable = durable
        self._numbers = count(1)
        if os.geteuid() == 0:
            shutil.chown(self.root, SERVER_USER, SERVER_USER)

    def __enter__(self) -> Postgres:
        new = ["-U", OWNER, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
        self._run("initdb", "-D", str(self.data), *new)
        rules = f"local all {OWNER} trust\nlocal all all scram-sha-256\n"
        self._write(self.data / "pg_hba.conf", rules)
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop(crash=True)  # nobody needs what it would write down first
        shutil.rmtree(self.root, ignore_errors=True)

    # --- life ---------------------------------------------------------------------------------

    def start(self) -> None:
        fast = "" if self.durable else "-c fsync=off -c full_page_writes=off"
        options = f"-k {self.root} -c listen_addresses='' -c max_connections=40 {fast}"
        log = str(self.root / "log")
        self._run(
            "pg_ctl", "-D", str(self.data), "-w", "-t", "60", "-l", log, "-o", options, "start"
        )

    def stop(self, *, crash: bool = False) -> None:
        """With `crash`, as after a power cut: connections break, and recovery comes next."""
        how = "immediate" if crash else "fast"
        self._run("pg_ctl", "-D", str(self.data), "-m", how, "-w", "stop")

    # --- databases ------------------------------------------------------------------------------

    def url(self, database: str, user: str = OWNER, password: str = "") -> str:
        secret = f":{password}" if password else ""
        return f"postgresql://{user}{secret}@/{database}?host={self.root}"

    def database(self, *, migrated: bool = True) -> str:
        """The URL of a new database: with this version's tables, or empty."""
        name = f"store_{next(self._numbers)}"
        if migrated and not self.sql("SELECT 1 FROM pg_database WHERE datname = 'migrated'"):
            self.sql(f"CREATE DATABASE {_MIGRATED}")
            SqlStore.open(self.url(_MIGRATED)).close()
        self.sql(f"CREATE DATABASE {name}" + (f" TEMPLATE {_MIGRATED}" if migrated else ""))
        return self.url(name)

    def sql(self, statement: str, database: str = "postgres") -> str:
        """What psql prints for a statement, run as the owner."""
        where = ["-h", str(self.root), "-U", OWNER, "-d", database, "-v", "ON_ERROR_STOP=1"]
        return self._run("psql", "-X", "-q", "-tA", *where, "-c", statement).strip()

    # --- inside -------------------------------------------------------------------------------

    def _write(self, path: Path, text: str) -> None:
        path.write_text(text)  # a file that is there keeps its owner

    def _run(self, program: str, *args: str) -> str:
        """Run one of PostgreSQL's programs as the server's user; AssertionError if it fails."""
        become: dict[str, object] = {}
        if os.geteuid() == 0:
            become = {"user": SERVER_USER, "group": SERVER_USER, "extra_groups": []}
        out = self.root / "out.txt"
        # A file, not a pipe: the server that pg_ctl leaves running would keep a pipe open.
        with out.open("w") as output:
            done = subprocess.run(
                [self._programs / program, *args],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self.root,
                **become,  # type: ignore[call-overload]
            )
        text = out.read_text()
        assert done.returncode == 0, f"{program} {' '.join(args)}:\n{text}"
        return text
