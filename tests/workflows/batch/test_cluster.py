"""Two Ray nodes of one machine and an object store: whatever is killed, nothing is lost.

The store is moto's, on the loopback. Only processes that a test started are ended.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

pytest.importorskip("pyarrow")
pytest.importorskip("ray")
pytest.importorskip("moto")

from otoscope.errors import ParameterError
from otoscope.records import places
from otoscope.records.parts import part_names
from otoscope.records.places import Place
from tests.support.batches import Tiny, files_in, run_tiny, texts
from tests.support.paths import ROOT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="processes are found in /proc"),
    pytest.mark.filterwarnings("ignore"),
]
BIN = Path(sys.executable).parent
TEXTS = ["a", *"bcdefgh", "bad"] * 7


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def below(pid: int) -> list[int]:
    """List a process and all that it started."""
    parents: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parent = int(path.read_text().rpartition(")")[2].split()[1])
            parents.setdefault(parent, []).append(int(path.parent.name))
    found = [pid]
    for one in found:
        found += parents.get(one, [])
    return found


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process with all that it started."""
    for pid in below(process.pid):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()


def answers(port: int, seconds: float = 60) -> None:
    end_at = time.monotonic() + seconds
    while time.monotonic() < end_at:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.1)
    pytest.fail(f"nothing answers at {port}")


class Refusing(BaseHTTPRequestHandler):
    """Hands requests on to the store, and refuses writes while its server says so."""

    protocol_version = "HTTP/1.1"

    def _pass(self) -> None:
        server: Any = self.server
        body = self._body()
        if server.refuses and self.command in ("PUT", "POST"):
            server.n_refused += 1
            self._answer(503, {}, b"<Error><Code>SlowDown</Code></Error>")
            return
        left_out = ("host", "expect", "transfer-encoding")
        headers = {k: v for k, v in self.headers.items() if k.lower() not in left_out}
        url = f"http://127.0.0.1:{server.store}{self.path}"
        request = Request(url, body or None, headers, method=self.command)
        try:
            with urlopen(request, timeout=30) as response:
                self._answer(response.status, dict(response.headers), response.read())
        except HTTPError as err:
            self._answer(err.code, dict(err.headers), err.read())

    def _body(self) -> bytes:
        """Read the content, of a known length or in chunks."""
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        chunks = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        list(iter(self.rfile.readline, b"\r\n"))  # the trailer
        return b"".join(chunks)

    def _answer(self, code: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(code)
        length = headers.pop("Content-Length", str(len(body)))
        for name, value in headers.items():
            if name.lower() not in ("transfer-encoding", "connection", "date", "server"):
                self.send_header(name, value)
        self.send_header("Content-Length", length if self.command == "HEAD" else str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _pass

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Any]]:
    """Start a store behind a door that can refuse; return the URI of a place, and the door."""
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"):
        monkeypatch.setenv(f"AWS_{name}", "x")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    port = free_port()
    moto = subprocess.Popen(
        [BIN / "moto_server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    door: Any = ThreadingHTTPServer(("127.0.0.1", 0), Refusing)
    door.store, door.refuses, door.n_refused = port, False, 0
    threading.Thread(target=door.serve_forever, daemon=True).start()
    try:
        answers(port)
        urlopen(Request(f"http://127.0.0.1:{port}/lab", method="PUT"), timeout=30).close()
        query = f"endpoint_override=127.0.0.1:{door.server_address[1]}&scheme=http"
        yield f"s3://lab/run1?{query}", door
    finally:
        door.shutdown()
        door.server_close()
        end(moto)


def n_parts(uri: str) -> int:
    return len(part_names(Place(uri)))


def test_a_store_that_refuses_for_a_while_loses_nothing(
    store: tuple[str, Any], tmp_path: Path
) -> None:
    uri, door = store
    manifest = texts(tmp_path / "in", TEXTS)

    def refuse() -> None:
        while n_parts(uri) < 3:
            time.sleep(0.05)
        door.refuses = True
        time.sleep(2)
        door.refuses = False

    refusing = threading.Thread(target=refuse, daemon=True)
    refusing.start()
    result = run_tiny(manifest, uri, task=Tiny(seconds=0.05), workers=1, chunk=4)
    refusing.join()
    assert door.n_refused
    assert result.counts[:3] == (63, 63, 7)
    assert len(files_in(uri)) == 63
    assert run_tiny(manifest, uri, workers=1, chunk=4).counts.files == 0


def test_a_store_that_goes_on_refusing_is_told_and_the_same_command_goes_on(
    store: tuple[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri, door = store
    manifest = texts(tmp_path / "in", TEXTS)
    monkeypatch.setattr(places, "_WAITS", (0.1,))
    write = Place.write

    def written(self: Place, name: str, content: bytes) -> None:
        door.refuses |= name.startswith("part-") and n_parts(uri) == 3
        write(self, name, content)

    monkeypatch.setattr(Place, "write", written)
    with pytest.raises(ParameterError, match=r"takes no file: .*; 12 of 63 files are safe there"):
        run_tiny(manifest, uri, workers=1, chunk=4)
    monkeypatch.setattr(Place, "write", write)
    door.refuses = False
    assert run_tiny(manifest, uri, workers=1, chunk=4).n_before == 12
    assert len(files_in(uri)) == 63


def test_two_drivers_on_a_store_are_told_apart(store: tuple[str, Any], tmp_path: Path) -> None:
    uri, _ = store
    manifest = texts(tmp_path / "in", TEXTS[:4])
    place = Place(uri)
    about = {"pid": os.getpid(), "host": "elsewhere", "since": time.time(), "renewed": time.time()}
    place.write("_driver.json", json.dumps(about).encode())
    with pytest.raises(ParameterError, match=r"is being written by process .* on elsewhere since"):
        run_tiny(manifest, uri, workers=1)
    place.write("_driver.json", json.dumps({**about, "renewed": time.time() - 100}).encode())
    assert run_tiny(manifest, uri, workers=1).counts.files == 4  # that one is gone
    assert place.owner("_driver.json") is None


@pytest.fixture
def cluster(tmp_path_factory: pytest.TempPathFactory, store: Any) -> Iterator[tuple[str, Any]]:
    """Start two Ray nodes of one core each; return the address, and the second node."""
    port, folder = free_port(), tmp_path_factory.mktemp("ray")
    environment = {
        **os.environ,
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_USAGE_STATS_ENABLED": "0",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": f"{ROOT}:{ROOT / 'python'}",
    }
    node = ["--node-ip-address=127.0.0.1", "--num-cpus=1", "--disable-usage-stats", "--block"]
    head = [f"--port={port}", "--head", "--include-dashboard=false", f"--temp-dir=/tmp/r{port}"]
    started: list[subprocess.Popen[bytes]] = []

    def start(*options: str) -> subprocess.Popen[bytes]:
        with (folder / f"{len(started)}.log").open("wb") as log:
            process = subprocess.Popen(
                [BIN / "ray", "start", *node, *options],
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        started.append(process)
        return process

    try:
        start(*head)
        answers(port)
        second = start(f"--address=127.0.0.1:{port}")
        yield f"127.0.0.1:{port}", (environment, second)
    finally:
        for process in reversed(started):
            end(process)


DRIVER = """
import sys
from tests.support.batches import Tiny, run_tiny
result = run_tiny(sys.argv[1], sys.argv[2], task=Tiny(seconds=0.3), ray=sys.argv[3], chunk=4)
print(result.n_before, result.counts.files, result.counts.errors)
"""


def named(pid: int, text: str) -> list[int]:
    """List the processes below one whose command line holds a text."""
    found = []
    for one in below(pid):
        with suppress(OSError):
            if text in Path(f"/proc/{one}/cmdline").read_text(errors="replace"):
                found.append(one)
    return found


def test_a_killed_raylet_worker_and_driver_lose_nothing(
    store: tuple[str, Any], cluster: tuple[str, Any], tmp_path: Path
) -> None:
    (uri, _), (address, (environment, second)) = store, cluster
    manifest = texts(tmp_path / "in", [*TEXTS, "kill"])
    command = [sys.executable, "-c", DRIVER, str(manifest), uri, address]

    def drive(log: str) -> subprocess.Popen[bytes]:
        with (tmp_path / log).open("wb") as out:
            return subprocess.Popen(
                command, cwd=ROOT, env=environment, stdout=out, stderr=out, start_new_session=True
            )

    def wait_for(driver: subprocess.Popen[bytes], n: int) -> None:
        while driver.poll() is None and n_parts(uri) < n:
            time.sleep(0.3)

    def kill(text: str) -> None:
        """Kill a process of the second node, as soon as there is one."""
        while not (found := named(second.pid, text)):
            assert first.poll() is None, f"no {text} was found"
            time.sleep(0.1)
        os.kill(found[0], signal.SIGKILL)

    first = drive("first")
    wait_for(first, 2)
    kill("ray::work")  # an agent, ray::DashboardAgent, would take its raylet along
    wait_for(first, 4)
    kill("raylet/raylet")
    wait_for(first, 7)
    end(first)
    assert n_parts(uri) >= 4, (tmp_path / "first").read_text()
    again = drive("again")
    assert again.wait(timeout=400) == 0, (tmp_path / "again").read_text()
    before, files, _ = map(int, (tmp_path / "again").read_text().split()[-3:])
    assert before + files == 64
    errors = files_in(uri)
    assert len(errors) == 64
    assert sum(error == "is bad" for error in errors.values()) == 7
    assert "killed the worker" in errors["00063.txt"]
    assert sum(map(bool, errors.values())) == 8


def test_an_address_where_no_cluster_answers_is_one_line(tmp_path: Path) -> None:
    manifest, port = texts(tmp_path / "in", ["a"]), free_port()
    began = time.monotonic()
    message = f"ray is '127.0.0.1:{port}', where no cluster answers: Connection refused"
    with pytest.raises(ParameterError, match=message):
        run_tiny(manifest, tmp_path / "out", ray=f"127.0.0.1:{port}")
    assert time.monotonic() - began >= 10
    assert not (tmp_path / "out").exists()


def test_what_answers_and_is_no_cluster_is_refused(tmp_path: Path) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(ParameterError, match="where no cluster answers"):
            run_tiny(texts(tmp_path / "in", ["a"]), tmp_path / "out", ray=address)
