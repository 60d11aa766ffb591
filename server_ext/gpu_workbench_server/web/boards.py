"""TensorBoard of a job, reached through this server: its login, its owner's job, or 404."""

from __future__ import annotations

from gpu_workbench import protocol as wire

from .auth import permitted
from .dashboards import Dashboard
from .routes import NAME

RESOURCE = "gpu-workbench:jobs"


class BoardPage(Dashboard):
    """Its pages, and the questions that these ask by POST; both only read."""

    what = "TensorBoard"
    root, leaf = wire.JOBS_PATH, "tensorboard"

    async def socket_path(self, item: str) -> str | None:
        services = await self.workbench.services()
        return await self.workbench.on_holders(services.boards.socket, self.who, item)

    def check_xsrf_cookie(self) -> None:
        """Its pages know nothing of Jupyter's token: what they ask must come from this origin."""
        if self.request.headers.get("Sec-Fetch-Site") == "same-origin":
            return
        super().check_xsrf_cookie()

    @permitted("read", RESOURCE)
    async def get(self, job_id: str, path: str = "") -> None:
        await self.pass_on(job_id, path)

    @permitted("read", RESOURCE)
    async def post(self, job_id: str, path: str = "") -> None:
        await self.pass_on(job_id, path)


def board_handlers() -> list[tuple[str, type[BoardPage]]]:
    return [(rf"{wire.JOBS_PATH}/{NAME}/tensorboard/(.*)", BoardPage)]
