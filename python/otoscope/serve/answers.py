"""Answers that pages share: jobs as JSON and as streams of events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from importlib.resources import files
from typing import Any

from starlette.requests import Request
from starlette.responses import (
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Route

from otoscope.errors import ParameterError
from otoscope.serve.desk import Desk, Job

__all__ = ["MOST_BYTES", "POLL", "job_routes", "page", "read_item", "refused"]

MOST_BYTES = 64 * 1024
"""Largest JSON body, in bytes."""

POLL = 0.05
"""Seconds between two looks at a job."""

_STATIC = files("otoscope.serve") / "static"


def page(name: str) -> HTMLResponse:
    """Return a page of the package."""
    return HTMLResponse((_STATIC / name).read_text(encoding="utf-8"))


def refused(err: ParameterError) -> PlainTextResponse:
    """Return the answer that tells an error in one line."""
    reason = " ".join(str(err).split())
    status = 429 if "jobs are waiting" in reason else 410 if "is gone" in reason else 400
    return PlainTextResponse(reason, status)


def job_routes(
    prefix: str, desk_of: Callable[[Request], Desk], item_of: Callable[[Request, Any], Any]
) -> list[Route]:
    """Make the routes below ``prefix`` that submit a job, listen to it and cancel it.

    ``item_of`` makes the item of work from a request and its JSON.
    """

    async def submit(request: Request) -> Response:
        try:
            job = desk_of(request).submit(item_of(request, await read_item(request)))
        except ParameterError as err:
            return refused(err)
        return JSONResponse({"job": job.key}, 202)

    async def listen(request: Request) -> Response:
        """Stream the place in the line, then the result."""
        desk = desk_of(request)
        job = desk.job(request.path_params["key"])
        if job is None:
            return Response(status_code=204)  # an EventSource does not come back after this
        return StreamingResponse(
            _told(request, desk, job),
            media_type="text/event-stream",
            headers={"Cache-Control": "no-store"},
        )

    async def cancel(request: Request) -> Response:
        desk = desk_of(request)
        job = desk.job(request.path_params["key"])
        if job is not None:
            desk.cancel(job)
        return Response(status_code=204)

    return [
        Route(f"{prefix}/jobs", submit, methods=["POST"]),
        Route(f"{prefix}/jobs/{{key}}", listen),
        Route(f"{prefix}/jobs/{{key}}/cancel", cancel, methods=["POST"]),
    ]


async def read_item(request: Request) -> dict[str, Any]:
    """Read the JSON object of a request; its bytes are counted."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            raise ParameterError(f"the body has more than {MOST_BYTES:,} bytes")
    try:
        item = json.loads(body)
    except (ValueError, RecursionError):
        item = None
    if not isinstance(item, dict):
        raise ParameterError("the body must be a JSON object")
    return item


async def _told(request: Request, desk: Desk, job: Job) -> AsyncIterator[str]:
    told: dict[str, Any] = {}
    while not await request.is_disconnected():
        is_over = job.is_over  # once: the job may end at any time
        now = {"state": job.state, "place": desk.place(job)}
        if is_over:
            now["result"] = job.result
        elif job.said is not None:
            now["said"] = job.said
        if now != told:
            told = now
            yield f"data: {json.dumps(now)}\n\n"
        if is_over:
            return
        await asyncio.sleep(POLL)
