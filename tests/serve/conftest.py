"""One workbench for all tests of its requests: its processes take seconds to load."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

OWN = "http://127.0.0.1:7870"


@pytest.fixture(scope="session")
def client() -> Iterator[Any]:
    """A client of a server with two models and small limits."""
    pytest.importorskip("starlette", reason='starlette is not installed: "otoscope[serve]"')
    pytest.importorskip("httpx2", reason='httpx2 is not installed: "otoscope[test]"')
    from starlette.testclient import TestClient

    from otoscope.serve.application import make_app
    from otoscope.serve.workbench import WorkbenchSettings
    from tests.support.workbench import LIMITS

    models = ("synth-singing", "genre-frames-random")
    with TestClient(make_app(workbench=WorkbenchSettings(models, LIMITS)), base_url=OWN) as here:
        yield here
