"""otoscope serve in a process of its own, for the tests of its pages."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import urllib.request
from importlib.util import find_spec

import pytest

SERVER_MARKS = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (find_spec("starlette") and find_spec("uvicorn")),
        reason='the extra serve is not installed: pip install "otoscope[serve]"',
    ),
    pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals"),
]
"""Marks of a module of tests that start a server."""

READY = "document.body.dataset.ready == 'yes'"
"""Condition in the browser: the page has started."""

SERVER_ENDED = ("ERR_", "Failed to load resource")
"""What Chromium says of a server that a test ends."""


class Server:
    """A server at a free port; ``url`` is the address of the page at ``path``."""

    def __init__(self, *arguments: str, path: str) -> None:
        self.arguments = arguments
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}{path}"
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "otoscope.cli", "serve", "--port", str(self.port)]
        self.process = subprocess.Popen([*command, *self.arguments], stdout=subprocess.DEVNULL)
        while True:
            try:
                urllib.request.urlopen(self.url, timeout=60).read()
                return
            except OSError:
                assert self.process.poll() is None

    def end(self, how: signal.Signals = signal.SIGINT) -> None:
        self.process.send_signal(how)
        self.process.wait(timeout=120)
