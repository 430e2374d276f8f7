"""otoscope serve: the local web pages."""

from __future__ import annotations

from typing import Annotated

import typer

from otoscope.cli import options
from otoscope.cli.output import console
from otoscope.errors import ParameterError, require_extra

__all__ = ["serve"]

_MOST_PORT = 65535


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
) -> None:
    """Open a page to compose folk tunes with a network, in the browser on this machine.

    Tunes are written, seen and heard without any other host; edits and history stay in the browser.

    Example: otoscope serve --in oneill
    """
    uvicorn = require_extra("uvicorn", "serve")
    require_extra("starlette", "serve")
    from otoscope.folk.workflows.book_tunes import find_tunes
    from otoscope.folk.workflows.sample import SHIPPED, load_model
    from otoscope.serve.application import LOOPBACK, make_app
    from otoscope.serve.composing import ComposingSettings

    if host not in LOOPBACK:
        raise ParameterError(
            f"--host is {host}, must be one of {', '.join(LOOPBACK)}: anyone who reaches the page "
            "can use it; from another machine, ssh -L 7870:127.0.0.1:7870"
        )
    if not 1 <= port <= _MOST_PORT:
        raise ParameterError(f"--port is {port}, must be in [1, {_MOST_PORT}]")
    models = tuple(model or (SHIPPED,))
    for name in models:
        load_model(name)  # a wrong one is told now
    for name in reference or ():
        find_tunes(name)
    app = make_app(ComposingSettings(models, tuple(reference or ())))
    console().print(f"http://{host}:{port}/folk (Ctrl-C ends it)")
    uvicorn.run(app, host=host.strip("[]"), port=port, log_level="warning", server_header=False)
