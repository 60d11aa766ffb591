"""Processes that hold a lease on their own: a Dask cluster, a training job.

Each is started as `python -m gpu_workbench.holders.<kind> DIR` in a session of its own, and lives
by its directory alone: `spec.json` (what it is, written once), `target.json` (what is wanted of
it), `status.json` (what it is at the moment), logs. A holder knows no server and no broker: it
outlives them.
"""
