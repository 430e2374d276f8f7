"""The server: pages, their desks of jobs, and the rules of every request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import RedirectResponse
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from otoscope.serve.answers import MOST_BYTES
from otoscope.serve.compose_routes import compose_routes
from otoscope.serve.composing import ComposingSettings, make_work
from otoscope.serve.desk import Desk
from otoscope.serve.guard import Guard
from otoscope.serve.uploads import Store, store
from otoscope.serve.workbench import WorkbenchSettings, make_workbench
from otoscope.serve.workbench_items import uploads_of
from otoscope.serve.workbench_routes import UPLOADS, workbench_routes

__all__ = ["LOOPBACK", "Access", "make_app"]

LOOPBACK = ("127.0.0.1", "localhost", "[::1]", "::1")
"""Host names of this machine."""

_SWEEP = 30.0  # seconds between two looks for old uploads


@dataclass(frozen=True)
class Access:
    """Who may use the pages.

    Parameters
    ----------
    token : str, optional
        Secret that every request needs; by default none does.
    is_local : bool
        Answer requests for host names of this machine only.
    """

    token: str | None = None
    is_local: bool = True


def make_app(
    composing: ComposingSettings | None = None,
    workbench: WorkbenchSettings | None = None,
    access: Access = Access(),
) -> Starlette:
    """Make the application.

    Parameters
    ----------
    composing : ComposingSettings, optional
        Networks and reference tunes of the composing page; without them there is no such page.
    workbench : WorkbenchSettings, optional
        Models and limits of the workbench; without them there is no such page.
    access : Access
        Who may use the pages.

    Returns
    -------
    Starlette
        ASGI application; it starts two worker processes for each page with its lifespan, and ends
        them.
    """

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            if composing is not None:
                app.state.composing = Desk(partial(make_work, composing))
                stack.callback(app.state.composing.close)
            if workbench is not None:
                limits = workbench.limits
                app.state.store = stack.enter_context(store(limits))
                app.state.workbench = Desk(
                    partial(make_workbench, workbench),
                    kept_seconds=limits.kept_seconds,
                    most_seconds=limits.job_seconds,
                )
                stack.callback(app.state.workbench.close)
                sweeping = asyncio.create_task(_sweep(app.state.store, app.state.workbench))
                stack.callback(sweeping.cancel)
            yield

    routes: list[BaseRoute] = [
        Mount("/static", StaticFiles(packages=[("otoscope.serve", "static")]))
    ]
    if composing is not None:
        routes += compose_routes(composing)
    if workbench is not None:
        routes += workbench_routes(workbench)
    else:
        routes.append(Route("/", lambda _: RedirectResponse("/folk")))
    larger = {} if workbench is None else {UPLOADS: workbench.limits.upload_bytes}
    hosts = list(LOOPBACK) if access.is_local else ["*"]
    return Starlette(
        routes=routes,
        middleware=[
            Middleware(TrustedHostMiddleware, allowed_hosts=hosts),
            Middleware(
                Guard, most_bytes=MOST_BYTES, larger=larger, token=access.token, most_posts=300
            ),
        ],
        lifespan=lifespan,
    )


async def _sweep(store: Store, desk: Desk) -> None:
    """Delete old uploads from time to time, except those of jobs that are not done."""
    while True:
        await asyncio.sleep(min(_SWEEP, store.limits.kept_seconds / 2))
        store.sweep([key for job in desk.unfinished() for key in uploads_of(job.item)])
