"""The broker's truth on disk: `sql.SqlStore`, and `memory.MemoryStore` for tests.

Both implement `ports.Store` and pass the same contract suite (tests/contract/test_store.py), the
first over SQLite and over PostgreSQL. Nothing here decides anything: what is written was decided
by the domain. What may never happen (a slice granted twice, a lease that ends twice, history
rewritten) is refused here once more.
"""

FILE_NAME = "store.sqlite"
"""Of the database inside the workbench's data directory."""

WRITES = "gpu_workbench_writes"
"""Execution option of a connection whose transaction is going to write."""
