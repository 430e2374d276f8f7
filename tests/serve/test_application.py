"""The server answers its own page only, within limits, and its answers are files and JSON."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

pytest.importorskip("starlette", reason='starlette is not installed: "otoscope[serve]"')
pytest.importorskip("httpx2", reason='httpx2 is not installed: "otoscope[test]"')
from starlette.testclient import TestClient

from otoscope.folk.abc import parse_tune, to_abc
from otoscope.folk.data import generate_tune
from otoscope.serve import guard
from otoscope.serve.application import make_app
from otoscope.serve.composing import ComposingSettings
from otoscope.serve.notes import note_wav

OWN = "http://127.0.0.1:7870"
TUNE = to_abc(generate_tune(0, 3), 1)


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    app = make_app(ComposingSettings(("folkrnn-small",)))
    with TestClient(app, base_url=OWN) as here:
        yield here


def answered(client: TestClient, item: dict[str, Any]) -> dict[str, Any]:
    """Submit a job and listen until it ends."""
    key = client.post("/folk/jobs", json=item).json()["job"]
    with client.stream("GET", f"/folk/jobs/{key}") as events:
        told = [json.loads(line[6:]) for line in events.iter_lines() if line.startswith("data:")]
    last: dict[str, Any] = told[-1]
    return last


def test_page_and_headers(client: TestClient) -> None:
    page = client.get("/")
    assert page.url.path == "/folk"
    assert "Compose a folk tune" in page.text
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'; script-src 'self';" in policy
    assert "unsafe-eval" not in policy
    assert page.headers["x-content-type-options"] == "nosniff"
    assert client.get("/static/folk.js").status_code == 200
    assert "MIT" in client.get("/static/abcjs/LICENSE.md").text
    assert client.get("/static/../application.py").status_code == 404
    assert client.get("/folk/about").json() == {"models": ["folkrnn-small"], "judge": False}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": OWN}, 202),
        ({"Origin": OWN, "Sec-Fetch-Site": "same-origin"}, 202),
        ({}, 202),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://127.0.0.1:7871"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": OWN, "Sec-Fetch-Site": "same-site"}, 403),
        ({"Host": "evil.example"}, 400),
        ({"Host": "evil.example", "Origin": "http://evil.example"}, 400),
    ],
)
def test_only_the_own_page_is_answered(
    client: TestClient, headers: dict[str, str], status: int
) -> None:
    item = {"kind": "view", "abc": "x"}
    assert client.post("/folk/jobs", json=item, headers=headers).status_code == status


def test_bodies_are_limited(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    large = client.post("/folk/jobs", content=b" " * 70_000)
    assert (large.status_code, "at most 65,536" in large.text) == (413, True)
    unknown = client.post("/folk/jobs", content=iter([b"{}"]))
    assert unknown.status_code == 411
    for content in (b"[]", b"{", b"\xff", b"1"):
        answer = client.post("/folk/jobs", content=content)
        assert (answer.status_code, answer.text) == (400, "the body must be a JSON object")


def test_too_many_requests_wait() -> None:
    async def app(*_: Any) -> None: ...

    limited = guard.Guard(app, most_bytes=10, most_posts=2)
    scope = {
        "type": "http",
        "method": "POST",
        "scheme": "http",
        "headers": [(b"host", b"a"), (b"content-length", b"1")],
    }
    assert [limited._refusal(scope) for _ in range(2)] == [None, None]
    refusal = limited._refusal(scope)
    assert refusal is not None
    assert refusal[0] == 429


def test_tunes_are_written_and_repeat(client: TestClient) -> None:
    item = {"kind": "compose", "n": 2, "seed": 5, "meter": "6/8", "mode": "dor"}
    first, again = (answered(client, item) for _ in range(2))
    assert first == again
    assert first["state"] == "done"
    for written in first["result"]:
        tune = parse_tune(written["abc"])
        assert (tune.meter.text, tune.key.mode) == ("6/8", "dor")
        assert len(written["view"]["nats"]) > 10
        assert not [v for v in written["view"]["violations"] if v["rule"] == "bars"]


def test_text_fields_left_empty_are_no_settings(client: TestClient) -> None:
    item = {"kind": "compose", "seed": 5}
    blank = item | dict.fromkeys(["meter", "mode", "form", "prime"], " ")
    assert answered(client, blank) == answered(client, item)


@pytest.mark.parametrize(
    ("item", "words"),
    [
        ({"kind": "run"}, "kind is 'run'"),
        ({"kind": "compose", "n": 99}, "n is 99"),
        ({"kind": "compose", "n": "2"}, "n is '2', must be a whole number"),
        ({"kind": "compose", "temperature": "hot"}, "temperature is 'hot'"),
        ({"kind": "compose", "temperature": 0}, "temperature is 0"),
        ({"kind": "compose", "temperature": None}, "temperature is empty, must be a number"),
        ({"kind": "compose", "seed": None}, "seed is empty, must be a whole number"),
        ({"kind": "compose", "meter": "7/8"}, "7/8"),
        ({"kind": "compose", "prime": "G ; A"}, "prime"),
        ({"kind": "compose", "model": 1}, "model is 1; there are 1"),
        ({"kind": "compose", "keep": "1"}, "keep must be a list"),
        ({"kind": "compose", "keep": [1]}, "without a tune"),
        ({"kind": "compose", "abc": TUNE, "keep": [99]}, "keep has bar 99"),
        ({"kind": "compose", "abc": TUNE, "from_bar": 0}, "from_bar is 0"),
        ({"kind": "compose", "abc": "K:C\nC;|", "from_bar": 1}, "line 2"),
        ({"kind": "view", "abc": "a" * 30_000}, "at most 20,000"),
        ({"kind": "prime", "prime": "|: G2 ;"}, "prime"),
    ],
)
def test_bad_requests_say_what_is_wrong(
    client: TestClient, item: dict[str, Any], words: str
) -> None:
    answer = answered(client, item)
    assert answer["state"] == "failed"
    assert words in answer["result"]


def test_files_and_notes(client: TestClient, tmp_path: Path) -> None:
    midi = client.post("/folk/files/tune.mid", json={"abc": TUNE})
    assert midi.content[:4] == b"MThd"
    wav = client.post("/folk/files/tune.wav", json={"abc": TUNE})
    y, sr = soundfile.read(io.BytesIO(wav.content))
    assert sr == 22050
    assert np.sqrt(np.mean(y**2)) > 0.01
    wrong = client.post("/folk/files/tune.exe", json={"abc": TUNE})
    assert (wrong.status_code, "format is 'exe'" in wrong.text) == (400, True)
    assert client.post("/folk/files/tune.mid", json={"abc": "K:C\n;"}).status_code == 400
    assert client.post("/folk/files/tune.mid", json={}).status_code == 400
    note = client.get("/folk/sound/acoustic_grand_piano-mp3/A4.mp3")
    y, sr = soundfile.read(io.BytesIO(note.content))
    spectrum = np.abs(np.fft.rfft(y))
    assert np.argmax(spectrum) * sr / len(y) == pytest.approx(440, abs=1)
    assert client.get("/folk/sound/x-mp3/H4.mp3").status_code == 404
    assert note_wav("../etc") is None


def test_unknown_jobs_are_not_asked_for_again(client: TestClient) -> None:
    assert client.get("/folk/jobs/none").status_code == 204
    assert client.post("/folk/jobs/none/cancel", json={}).status_code == 204
