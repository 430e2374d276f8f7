"""Routes of the composing page."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from otoscope.errors import ParameterError
from otoscope.folk.workflows.sample import model_title
from otoscope.serve.answers import POLL, job_routes, page, read_item, refused
from otoscope.serve.composing import ComposingSettings
from otoscope.serve.desk import Desk
from otoscope.serve.notes import note_wav

__all__ = ["compose_routes"]


def compose_routes(settings: ComposingSettings) -> list[BaseRoute]:
    """Make the routes; the jobs are done at the desk ``app.state.composing``."""

    async def about(_: Request) -> Response:
        """Say which networks there are, and whether there is a judge."""
        models = [model_title(name) for name in settings.models]
        return JSONResponse({"models": models, "judge": bool(settings.reference)})

    return [
        Route("/folk", _page),
        Route("/folk/about", about),
        *job_routes("/folk", _desk, _item),
        Route("/folk/files/{name}", _file, methods=["POST"]),
        Route("/folk/sound/{instrument}/{name}.mp3", _note),
    ]


def _desk(request: Request) -> Desk:
    desk: Desk = request.app.state.composing
    return desk


def _item(_: Request, item: Any) -> Any:
    return item


async def _page(_: Request) -> Response:
    return page("folk.html")


async def _file(request: Request) -> Response:
    """Convert a tune; the answer is the file."""
    desk = _desk(request)
    try:
        item = await read_item(request)
        form = str(request.path_params["name"]).rpartition(".")[2]
        job = desk.submit({"kind": "file", "abc": item.get("abc"), "format": form})
    except ParameterError as err:
        return refused(err)
    while not job.is_over:
        if await request.is_disconnected():
            desk.cancel(job)
        await asyncio.sleep(POLL)
    if job.state != "done":
        return PlainTextResponse(str(job.result or job.state), 400)
    return Response(bytes.fromhex(job.result["hex"]), media_type=job.result["media_type"])


async def _note(request: Request) -> Response:
    sound = note_wav(request.path_params["name"])
    if sound is None:
        return Response(status_code=404)
    return Response(sound, media_type="audio/wav", headers={"Cache-Control": "max-age=86400"})
