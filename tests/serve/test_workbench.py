"""The workbench through its server: what it explains, what it refuses, and what it forgets."""

from __future__ import annotations

import io
import json
import os
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

pytest.importorskip("starlette", reason='starlette is not installed: "otoscope[serve]"')
pytest.importorskip("httpx2", reason='httpx2 is not installed: "otoscope[test]"')
from starlette.testclient import TestClient

from otoscope.data import sample
from otoscope.errors import ParameterError
from otoscope.explain import Explanation
from otoscope.serve import workbench
from otoscope.serve.application import Access, make_app
from otoscope.serve.uploads import Store
from tests.support.workbench import (
    HOSTILE,
    LIMITS,
    answered,
    done,
    file_of,
    noise,
    store_of,
    uploaded,
)

OWN = "http://127.0.0.1:7870"
TOKEN = "a token of many letters"
EXPLAIN = {"kind": "explain", "model": "synth-singing", "segments": "temporal:10"}


def test_the_page_lists_models_and_samples(client: TestClient) -> None:
    page = client.get("/")
    assert page.url.path == "/"
    assert "frame-src 'self'" in page.headers["content-security-policy"]
    about = client.get("/work/about").json()
    assert [model["name"] for model in about["models"]] == ["synth-singing", "genre-frames-random"]
    assert "piano-ballad" in about["samples"]
    assert client.get("/work/samples/piano-ballad.ogg").content[:4] == b"OggS"
    assert client.get("/work/samples/..%2F..%2Fx.ogg").status_code == 404
    assert client.get("/folk").status_code == 404  # it was not asked for


def test_a_sample_is_explained_as_the_command_explains_it(client: TestClient) -> None:
    from otoscope.workflows import ExplainConfig, explain_files

    result = done(client, {**EXPLAIN, "sample": "piano-ballad"})
    config = ExplainConfig((sample("piano-ballad").path,), "synth-singing")
    (same,) = explain_files(config)
    record = file_of(client, result, "result.json").json()
    here = Explanation.from_json(json.dumps(record))
    assert same.explanation is not None
    np.testing.assert_allclose(here.coefficients, same.explanation.coefficients, atol=1e-5)
    assert result["sentence"] == str(same.explanation)
    assert record["file"] == "piano-ballad.ogg"  # and not where it is on the server
    report = file_of(client, result, "report.html")
    assert "sandbox allow-scripts" in report.headers["content-security-policy"]
    assert "allow-same-origin" not in report.headers["content-security-policy"]


def test_an_upload_is_explained_again_and_again_and_its_name_stays_text(
    client: TestClient,
) -> None:
    key = uploaded(client, noise(), HOSTILE)
    item = {**EXPLAIN, "upload": key}
    first = done(client, item)
    second = done(client, {**item, "content": "noise", "segments": "spectral:10"})
    third = done(client, {**item, "model": "genre-frames-random"})
    assert len({first["result"], second["result"], third["result"]}) == 3
    target = third["outputs"][-1]
    assert (
        done(client, {**item, "model": "genre-frames-random", "target": target})["target"] == target
    )
    report = file_of(client, first, "report.html").text
    assert "<img src=x" not in report
    assert "&lt;img src=x" in report
    record = file_of(client, first, "result.json").json()
    assert record["file"] == HOSTILE
    assert key not in report + json.dumps(record)
    answer = answered(client, {**item, "target": "<b>"})
    assert answer["state"] == "failed"
    assert key not in answer["result"]


@pytest.mark.parametrize(
    "name", ["../../x.wav", "/etc/passwd.wav", "C:\\x.wav", "a\0\n\u202eb.wav"]
)
def test_names_never_become_paths(client: TestClient, name: str) -> None:
    before = {*store_of(client).folder.iterdir()}
    answer = client.post("/work/uploads", params={"name": name}, content=noise(0.1))
    (made,) = {*store_of(client).folder.iterdir()} - before
    assert made.stem == answer.json()["upload"]
    assert made.suffix == ".wav"
    assert answer.json()["name"] in ("x.wav", "passwd.wav", "ab.wav")


@pytest.mark.parametrize(
    ("name", "content", "status", "words"),
    [
        ("song.exe", b"MZ", 400, "song.exe is no sound by its name"),
        ("", b"RIFF", 400, "is no sound by its name"),
        ("empty.wav", b"", 400, "empty.wav is empty"),
        ("large.wav", bytes(3 * 2**20), 413, "at most 2,097,152"),
    ],
)
def test_wrong_uploads_are_refused_in_one_line(
    client: TestClient, name: str, content: bytes, status: int, words: str
) -> None:
    before = {*store_of(client).folder.iterdir()}
    answer = client.post("/work/uploads", params={"name": name}, content=content)
    assert answer.status_code == status
    assert words in answer.text
    assert "\n" not in answer.text
    assert {*store_of(client).folder.iterdir()} == before


def test_a_body_longer_than_it_says_is_cut_off(client: TestClient) -> None:
    headers = {"Content-Length": "10"}
    body = (bytes(2**20) for _ in range(3))
    answer = client.post("/work/uploads?name=a.wav", content=body, headers=headers)
    assert answer.status_code == 400
    assert "more than 2 MB" in answer.text


def test_a_full_server_refuses_more(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Store, "n_bytes", lambda _: LIMITS.stored_bytes - 1000)
    answer = client.post("/work/uploads?name=a.wav", content=noise())
    assert (answer.status_code, "full" in answer.text) == (400, True)


def long_sound() -> bytes:
    """Two hours of silence in a small file."""
    file = io.BytesIO()
    soundfile.write(file, np.zeros(2 * 3600 * 100), 100, format="FLAC")
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("film.flac", long_sound(), "film.flac lasts 120 minutes or more; at most 1 are taken"),
        ("picture.wav", b"\x89PNG\r\n\x1a\n" + bytes(1000), "picture.wav"),
        ("short.wav", noise(0.1), "short.wav: the sound lasts 0.10 s, too short"),
    ],
)
def test_sounds_that_cannot_be_explained_are_refused_in_one_line(
    client: TestClient, name: str, content: bytes, words: str
) -> None:
    answer = answered(client, {**EXPLAIN, "upload": uploaded(client, content, name)})
    assert answer["state"] == "failed"
    assert words in answer["result"]
    assert "\n" not in answer["result"]
    assert str(store_of(client).folder) not in answer["result"]


def test_many_channels_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wide = tmp_path / "wide.flac"
    soundfile.write(wide, np.zeros((1000, 8)), 8000)
    workbench._require_short(wide, LIMITS)
    monkeypatch.setattr(workbench, "_MOST_SAMPLES", 7999)
    with pytest.raises(ParameterError, match="8,000 samples in 8 channels"):
        workbench._require_short(wide, LIMITS)


@pytest.mark.parametrize(
    ("item", "words"),
    [
        ({"kind": "run"}, "kind is 'run'"),
        ({"model": "own.py:make"}, "model is 'own.py:make', must be one of synth-singing"),
        ({"model": "resemblyzer:/etc/passwd"}, "model is"),
        ({"model": ["synth-singing"]}, "model is"),
        ({"content": "none"}, "content is 'none'"),
        ({"segments": "temporal:30"}, "segments is 'temporal:30'"),
        ({"sample": "../x"}, "sample is '../x'"),
        ({"start": "now"}, "start is 'now', must be a number"),
        ({"upload": "none"}, "upload is gone"),
        ({"upload": 1}, "upload must be a text"),
    ],
)
def test_bad_requests_say_what_is_wrong(
    client: TestClient, item: dict[str, Any], words: str
) -> None:
    whole = {**EXPLAIN, **({} if "upload" in item else {"sample": "piano-ballad"}), **item}
    answer = client.post("/work/jobs", json=whole)
    assert answer.status_code == (410 if "gone" in words else 400)
    assert words in answer.text


def test_what_is_not_used_is_deleted_and_so_is_what_a_user_deletes(client: TestClient) -> None:
    store = store_of(client)
    old, new, gone = (uploaded(client, noise(0.1)) for _ in range(3))
    result = done(client, {**EXPLAIN, "sample": "piano-ballad"})
    later = time.monotonic() - LIMITS.kept_seconds - 1
    store._uploads[old].used = store._uploads[new].used = later
    store._results[result["result"]] = later
    store.sweep([new])
    assert not (store.folder / f"{old}.wav").exists()
    assert (store.folder / f"{new}.wav").exists()
    assert file_of(client, result, "report.html").status_code == 404
    assert client.post("/work/forget", json={"keys": [gone, "none"]}).status_code == 204
    assert not (store.folder / f"{gone}.wav").exists()
    assert client.post("/work/forget", json={"keys": "all"}).status_code == 400
    assert client.post("/work/jobs", json={**EXPLAIN, "upload": old}).status_code == 410


def test_results_are_files_of_a_list(client: TestClient) -> None:
    result = done(client, {**EXPLAIN, "sample": "piano-ballad"})
    for name in ("items.csv", "..%2Fx", "report.html%00"):
        assert file_of(client, result, name).status_code == 404
    assert client.get("/work/results/none/report.html").status_code == 404


def _opened_and_closed() -> Path:
    from otoscope.serve import uploads

    with uploads.store(LIMITS) as here:
        assert here.folder.exists()
    return here.folder


def test_a_folder_of_a_killed_server_is_deleted(tmp_path: Path, monkeypatch: Any) -> None:
    from otoscope.serve import uploads

    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    dead = tmp_path / "otoscope-serve-dead"
    dead.mkdir()
    (dead / "song.wav").write_bytes(b"RIFF")
    with uploads.store(LIMITS) as first:
        assert not dead.exists()
        with ThreadPoolExecutor() as threads:  # a claim is of a thread
            second = threads.submit(_opened_and_closed).result()
        assert first.folder.exists()
        assert not second.exists()
    assert not [*tmp_path.iterdir()]


def test_only_those_with_the_token_are_answered() -> None:
    access = Access(TOKEN, is_local=False)
    with TestClient(make_app(access=access), base_url="http://lab.example") as client:
        assert client.get("/").status_code == 401
        assert "<form>" in client.get("/").text
        assert client.get("/static/jobs.js").status_code == 401
        assert client.get("/?token=wrong").status_code == 401
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        assert client.get("/static/jobs.js", headers=bearer).status_code == 200
        assert client.get("/static/jobs.js").status_code == 401
        entry = client.get("/static/jobs.js", params={"token": TOKEN}, follow_redirects=False)
        assert (entry.status_code, entry.headers["location"]) == (303, "/static/jobs.js")
        cookie = entry.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        assert TOKEN not in cookie
        assert client.get("/static/jobs.js").status_code == 200
        foreign = {"Origin": "http://evil.example"}
        assert client.post("/work/jobs", json={}, headers=foreign).status_code == 403


def test_guesses_of_a_token_are_counted() -> None:
    with TestClient(make_app(access=Access(TOKEN)), base_url=OWN) as client:
        answers = [client.get(f"/?token={i}").status_code for i in range(301)]
    assert answers == [401] * 300 + [429]


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_places_are_told_and_a_killed_worker_fails_its_job_alone(client: TestClient) -> None:
    desk = client.app.state.workbench  # type: ignore[attr-defined]
    slow = {"kind": "attack", "model": "synth-singing", "method": "square", "snr_db": 60.0}
    items = [{**slow, "sample": "piano-ballad"}, {**EXPLAIN, "sample": "piano-ballad"}]
    first, second = (client.post("/work/jobs", json=item).json()["job"] for item in items)
    while desk.job(first).said is None:
        time.sleep(0.01)
    assert desk.job(first).said["doing"]
    assert (desk.place(desk.job(first)), desk.place(desk.job(second))) == (0, 1)
    os.kill(desk._at_work.worker._process.pid, signal.SIGKILL)
    for key, state in ((first, "failed"), (second, "done")):
        with client.stream("GET", f"/work/jobs/{key}") as events:
            last = [line for line in events.iter_lines() if line.startswith("data:")][-1]
        assert json.loads(last[6:])["state"] == state
    assert "was ended (signal 9)" in desk.job(first).result


def test_a_running_job_is_cancelled(client: TestClient) -> None:
    desk = client.app.state.workbench  # type: ignore[attr-defined]
    slow = {"kind": "attack", "model": "synth-singing", "method": "square", "snr_db": 60.0}
    key = client.post("/work/jobs", json={**slow, "sample": "piano-ballad"}).json()["job"]
    while desk.job(key).state != "working":
        time.sleep(0.01)
    assert client.post(f"/work/jobs/{key}/cancel", json={}).status_code == 204
    assert desk.job(key).state == "cancelled"
    done(client, {**EXPLAIN, "sample": "piano-ballad"})
