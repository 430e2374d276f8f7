"""The server: pages, jobs, events and files."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from importlib.resources import files
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import (
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from otoscope.errors import ParameterError
from otoscope.folk.workflows.sample import model_title
from otoscope.serve.composing import ComposingSettings, make_work
from otoscope.serve.desk import Desk, Job
from otoscope.serve.guard import Guard
from otoscope.serve.notes import note_wav

__all__ = ["LOOPBACK", "make_app"]

LOOPBACK = ("127.0.0.1", "localhost", "[::1]", "::1")
"""Host names of this machine; requests for others are refused."""

_MOST_BYTES = 64 * 1024
_POLL = 0.05  # seconds
_STATIC = files("otoscope.serve") / "static"


def make_app(settings: ComposingSettings) -> Starlette:
    """Make the application.

    Parameters
    ----------
    settings : ComposingSettings
        Networks and reference tunes of the composing page.

    Returns
    -------
    Starlette
        ASGI application; it starts two worker processes with its lifespan, and ends them.
    """

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        app.state.desk = Desk(partial(make_work, settings))
        try:
            yield
        finally:
            app.state.desk.close()

    app = Starlette(
        routes=[
            Route("/", lambda _: RedirectResponse("/folk")),
            Route("/folk", _page),
            Route("/folk/about", _about),
            Route("/folk/jobs", _submit, methods=["POST"]),
            Route("/folk/jobs/{key}", _events),
            Route("/folk/jobs/{key}/cancel", _cancel, methods=["POST"]),
            Route("/folk/files/{name}", _file, methods=["POST"]),
            Route("/folk/sound/{instrument}/{name}.mp3", _note),
            Mount("/static", StaticFiles(packages=[("otoscope.serve", "static")])),
        ],
        middleware=[
            Middleware(TrustedHostMiddleware, allowed_hosts=list(LOOPBACK)),
            Middleware(Guard, most_bytes=_MOST_BYTES),
        ],
        lifespan=lifespan,
    )
    app.state.settings = settings
    return app


async def _page(_: Request) -> Response:
    return HTMLResponse((_STATIC / "folk.html").read_text(encoding="utf-8"))


async def _about(request: Request) -> Response:
    """Say which networks there are, and whether there is a judge."""
    settings: ComposingSettings = request.app.state.settings
    models = [model_title(name) for name in settings.models]
    return JSONResponse({"models": models, "judge": bool(settings.reference)})


async def _submit(request: Request) -> Response:
    try:
        job = request.app.state.desk.submit(await _item(request))
    except ParameterError as err:
        return PlainTextResponse(str(err), 429 if "waiting" in str(err) else 400)
    return JSONResponse({"job": job.key}, 202)


async def _events(request: Request) -> Response:
    """Stream the place in the line, then the result."""
    job = request.app.state.desk.job(request.path_params["key"])
    if job is None:
        return Response(status_code=204)  # an EventSource does not come back after this
    return StreamingResponse(
        _told(request, job),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store"},
    )


async def _told(request: Request, job: Job) -> AsyncIterator[str]:
    told: dict[str, Any] = {}
    while not await request.is_disconnected():
        is_over = job.is_over  # once: the job may end at any time
        now = {"state": job.state, "place": request.app.state.desk.place(job)}
        if is_over:
            now["result"] = job.result
        if now != told:
            told = now
            yield f"data: {json.dumps(now)}\n\n"
        if is_over:
            return
        await asyncio.sleep(_POLL)


async def _cancel(request: Request) -> Response:
    job = request.app.state.desk.job(request.path_params["key"])
    if job is not None:
        request.app.state.desk.cancel(job)
    return Response(status_code=204)


async def _file(request: Request) -> Response:
    """Convert a tune; the answer is the file."""
    desk: Desk = request.app.state.desk
    try:
        item = await _item(request)
        form = str(request.path_params["name"]).rpartition(".")[2]
        job = desk.submit({"kind": "file", "abc": item.get("abc"), "format": form})
    except ParameterError as err:
        return PlainTextResponse(str(err), 400)
    while not job.is_over:
        if await request.is_disconnected():
            desk.cancel(job)
        await asyncio.sleep(_POLL)
    if job.state != "done":
        return PlainTextResponse(str(job.result or job.state), 400)
    return Response(bytes.fromhex(job.result["hex"]), media_type=job.result["media_type"])


async def _note(request: Request) -> Response:
    sound = note_wav(request.path_params["name"])
    if sound is None:
        return Response(status_code=404)
    return Response(sound, media_type="audio/wav", headers={"Cache-Control": "max-age=86400"})


async def _item(request: Request) -> dict[str, Any]:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST_BYTES:
            raise ParameterError(f"the body has more than {_MOST_BYTES:,} bytes")
    try:
        item = json.loads(body)
    except ValueError:
        item = None
    if not isinstance(item, dict):
        raise ParameterError("the body must be a JSON object")
    return item
