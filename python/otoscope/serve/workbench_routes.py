"""Routes of the workbench: its page, uploads, jobs and results."""

from __future__ import annotations

from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route

from otoscope.data import sample, sample_names
from otoscope.errors import ParameterError
from otoscope.serve.answers import job_routes, page, read_item, refused
from otoscope.serve.desk import Desk
from otoscope.serve.uploads import Store
from otoscope.serve.workbench import FILES, REPORT, WorkbenchSettings
from otoscope.serve.workbench_items import about, work_item

__all__ = ["UPLOADS", "workbench_routes"]

UPLOADS = "/work/uploads"
"""Path that takes uploads."""

_REPORT_POLICY = (
    "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'; "
    "sandbox allow-scripts allow-downloads"
)


def workbench_routes(settings: WorkbenchSettings) -> list[BaseRoute]:
    """Make the routes; ``app.state.workbench`` does the jobs, ``app.state.store`` has the files."""

    async def told(_: Request) -> Response:
        return JSONResponse(about(settings))

    def item_of(request: Request, item: Any) -> Any:
        return work_item(item, settings, _store(request))

    return [
        Route("/", _page),
        Route("/work/about", told),
        Route(UPLOADS, _upload, methods=["POST"]),
        Route("/work/forget", _forget, methods=["POST"]),
        *job_routes("/work", _desk, item_of),
        Route("/work/results/{key}/{name}", _result),
        Route("/work/samples/{name}.ogg", _sample),
    ]


def _desk(request: Request) -> Desk:
    desk: Desk = request.app.state.workbench
    return desk


def _store(request: Request) -> Store:
    store: Store = request.app.state.store
    return store


async def _page(_: Request) -> Response:
    return page("workbench.html")


async def _upload(request: Request) -> Response:
    """Take one file, the body; its name is a parameter."""
    try:
        name = request.query_params.get("name", "")
        upload = await _store(request).receive(request.stream(), name)
    except ParameterError as err:
        return refused(err)
    except ClientDisconnect:
        return Response(status_code=400)
    told = {"upload": upload.path.stem, "name": upload.name, "archive": upload.is_archive}
    return JSONResponse(told, 201)


async def _forget(request: Request) -> Response:
    """Delete uploads and results before their time."""
    try:
        item = await read_item(request)
    except ParameterError as err:
        return refused(err)
    keys = item.get("keys")
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        return refused(ParameterError("keys must be a list of texts"))
    _store(request).forget(keys)
    return Response(status_code=204)


async def _result(request: Request) -> Response:
    """Return a file of a result: a report, which may do nothing but run its own script."""
    name = str(request.path_params["name"])
    folder = _store(request).result(request.path_params["key"])
    if folder is None or name not in FILES or not (folder / name).is_file():
        return Response(status_code=404)
    headers = {"Cache-Control": "no-store"}
    if name == REPORT:
        headers["Content-Security-Policy"] = _REPORT_POLICY
    return FileResponse(folder / name, media_type=FILES[name], headers=headers)


async def _sample(request: Request) -> Response:
    name = str(request.path_params["name"])
    if name not in sample_names():
        return Response(status_code=404)
    return FileResponse(sample(name).path, media_type="audio/ogg")
