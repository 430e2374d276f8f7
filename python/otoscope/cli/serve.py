"""otoscope serve: the web pages."""

from __future__ import annotations

import math
from typing import Annotated

import typer

from otoscope.cli import options
from otoscope.cli.output import console
from otoscope.errors import ParameterError, require_extra

__all__ = ["serve"]

_MOST_PORT = 65535
_MOST_CONNECTIONS = 256
_GRACE = 2  # seconds for answers that go on when the server is ended
_FIRST = "synth-singing"  # model of the workbench: small, and always there


def serve(
    model: Annotated[
        list[str] | None,
        typer.Option(
            help="Network of the composing page: folkrnn-small, a file, or the folder of a "
            "training; can be repeated. Default: folkrnn-small.",
            rich_help_panel=options.INPUT,
        ),
    ] = None,
    reference: Annotated[
        list[str] | None,
        typer.Option(
            "--in",
            help="Tunes that the judge compares with: a file, a folder, or aird, oneill, ryan, "
            "misc; can be repeated. Default: no judge.",
            rich_help_panel=options.INPUT,
        ),
    ] = None,
    host: Annotated[
        str,
        typer.Option(help="Address of this machine to listen at.", rich_help_panel=options.METHOD),
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(help="Port to listen at.", rich_help_panel=options.METHOD)
    ] = 7870,
    token: Annotated[
        str | None,
        typer.Option(
            envvar="OTOSCOPE_TOKEN",
            help="Secret that the pages ask for, 16 characters or more; required with a --host "
            "that other machines reach.",
            rich_help_panel=options.METHOD,
        ),
    ] = None,
    keep_minutes: Annotated[
        float,
        typer.Option(
            help="Time after their last use for which uploads and results are kept, in minutes.",
            rich_help_panel=options.METHOD,
        ),
    ] = 60.0,
) -> None:
    """Open pages to look into models and to compose folk tunes, in the browser on this machine.

    The workbench explains and attacks models of the zoo, on your sounds or on a sample. On the
    composing page, tunes are written, seen and heard. Nothing is asked of another host.

    Example: otoscope serve --in oneill
    """
    uvicorn = require_extra("uvicorn", "serve")
    require_extra("starlette", "serve")
    from otoscope.folk.workflows.book_tunes import find_tunes
    from otoscope.folk.workflows.sample import SHIPPED, load_model
    from otoscope.models import zoo
    from otoscope.serve.application import LOOPBACK, Access, make_app
    from otoscope.serve.composing import ComposingSettings
    from otoscope.serve.guard import check_token
    from otoscope.serve.uploads import Limits
    from otoscope.serve.workbench import WorkbenchSettings

    if host not in LOOPBACK and token is None:
        raise ParameterError(
            f"--host is {host}, which other machines may reach: give --token too, or keep "
            f"{LOOPBACK[0]} and use ssh -L {port}:127.0.0.1:{port}"
        )
    if token is not None:
        check_token(token)
    if not 1 <= port <= _MOST_PORT:
        raise ParameterError(f"--port is {port}, must be in [1, {_MOST_PORT}]")
    if not 0 < keep_minutes < math.inf:
        raise ParameterError(f"--keep-minutes is {keep_minutes:g}, must be above 0")
    models = tuple(model or (SHIPPED,))
    for name in models:
        load_model(name)  # a wrong one is told now
    for name in reference or ():
        find_tunes(name)
    installed = [entry.name for entry in zoo.describe() if entry.is_installed]
    installed.sort(key=lambda name: name != _FIRST)
    app = make_app(
        ComposingSettings(models, tuple(reference or ())),
        WorkbenchSettings(tuple(installed), Limits(kept_seconds=60 * keep_minutes)),
        Access(token, is_local=host in LOOPBACK),
    )
    console().print(f"http://{host}:{port}/ (composing: /folk; Ctrl-C ends it)")
    uvicorn.run(
        app,
        host=host.strip("[]"),
        port=port,
        log_level="warning",
        server_header=False,
        limit_concurrency=_MOST_CONNECTIONS,
        timeout_graceful_shutdown=_GRACE,
    )
