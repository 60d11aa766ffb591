"""Metrics for Prometheus, behind the same login as everything else."""

from __future__ import annotations

from .call import Call

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


async def exposition(call: Call[None, None]) -> str:
    return (await call.workbench.on_holders(call.services.exposition)).decode()
