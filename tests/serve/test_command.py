"""otoscope serve: it says where it listens, refuses what it cannot serve, and ends with Ctrl-C."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from otoscope.cli.app import app

needs_server = pytest.mark.skipif(
    not (find_spec("starlette") and find_spec("uvicorn")),
    reason='the extra serve is not installed: pip install "otoscope[serve]"',
)


@needs_server
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--host", "0.0.0.0"], "--host is 0.0.0.0, which other machines may reach"),
        (["--host", "0.0.0.0", "--token", "short"], "token has 5 characters"),
        (["--keep-minutes", "0"], "--keep-minutes is 0"),
        (["--port", "0"], "--port is 0"),
        (["--model", "none.json"], "none.safetensors is not there"),
        (["--in", "none.abc"], "none.abc"),
    ],
)
def test_what_cannot_be_served_is_said(
    arguments: list[str], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("uvicorn.run", lambda *_, **__: pytest.fail("it is served"))
    result = CliRunner().invoke(app, ["serve", *arguments])
    assert result.exit_code == 2, result.output
    assert words in " ".join(result.output.split())


def test_token_and_time_reach_the_application(monkeypatch: pytest.MonkeyPatch) -> None:
    served: list[tuple[Any, str]] = []
    made: list[Any] = []
    monkeypatch.setattr("uvicorn.run", lambda app, host, **_: served.append((app, host)))
    monkeypatch.setattr("otoscope.serve.application.make_app", lambda *given: made.append(given))
    token = ["--token", "0123456789abcdef"]
    for arguments in ([], [*token, "--host", "0.0.0.0"], [*token, "--keep-minutes", "5"]):
        assert CliRunner().invoke(app, ["serve", *arguments]).exit_code == 0
    (_, first, local), (_, _, open_), (_, short, guarded) = made
    assert first.models[0] == "synth-singing"
    assert "synth-singing" in first.models
    assert not [name for name in first.models if ":" in name]
    assert (local.token, local.is_local) == (None, True)
    assert (open_.token, open_.is_local) == ("0123456789abcdef", False)
    assert guarded.is_local
    assert (first.limits.kept_seconds, short.limits.kept_seconds) == (3600, 300)
    assert [host for _, host in served] == ["127.0.0.1", "0.0.0.0", "127.0.0.1"]


def _page(url: str) -> bytes:
    """Read a page of a server that may not listen yet."""
    for _ in range(600):
        try:
            with urllib.request.urlopen(url, timeout=60) as page:
                content: bytes = page.read()
                return content
        except ConnectionError:
            time.sleep(0.1)
        except urllib.error.URLError as err:
            if not isinstance(err.reason, ConnectionError):
                raise
            time.sleep(0.1)
    raise AssertionError(f"{url} did not answer")


@needs_server
@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_the_server_answers_at_its_port_and_ends(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-u", "-m", "otoscope.cli", "serve", "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=tmp_path) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline().decode()
            assert f"http://127.0.0.1:{port}/ (composing: /folk" in line
            assert b"folkrnn-small" in _page(f"http://127.0.0.1:{port}/folk/about")
            process.send_signal(signal.SIGINT)
            process.wait(timeout=120)
        finally:
            process.kill()
