"""Small real parts around a broker: a sink that keeps the news, and the time of day."""

from __future__ import annotations

import time

from gpu_workbench_server.ports import News


class Paper:
    """Keeps the news."""

    def __init__(self) -> None:
        self.news: list[News] = []

    def tell(self, news: News) -> None:
        self.news.append(news)


class WallClock:
    def now(self) -> float:
        return time.time()
