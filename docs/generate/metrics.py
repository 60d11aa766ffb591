"""Prometheus metrics, from the collectors themselves."""

from __future__ import annotations

import markdown


def page() -> str:
    return markdown.page("Metrics", "None yet.")
