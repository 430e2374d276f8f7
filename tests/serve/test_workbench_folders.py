"""The workbench on attacks, folders and sets: as the commands, and hostile archives refused."""

from __future__ import annotations

import io
import json
import zipfile
from html import escape
from pathlib import Path
from typing import Any

import pytest
import soundfile

pytest.importorskip("starlette", reason='starlette is not installed: "otoscope[serve]"')
pytest.importorskip("httpx2", reason='httpx2 is not installed: "otoscope[test]"')
from starlette.testclient import TestClient

from tests.support.workbench import (
    HOSTILE,
    answered,
    done,
    file_of,
    noise,
    store_of,
    uploaded,
    zipped,
)


def test_an_adversary_is_within_the_slider_and_a_file(client: TestClient) -> None:
    item = {"kind": "attack", "model": "synth-singing", "sample": "piano-ballad", "snr_db": 25.0}
    result = done(client, item)
    record = file_of(client, result, "result.json").json()
    assert record["snr_db"] >= 25
    assert record["settings"]["snr_db"] == 25
    y, _ = soundfile.read(io.BytesIO(file_of(client, result, "adversary.wav").content))
    assert len(y) > 0
    report = file_of(client, result, "report.html").text
    assert "Press another while one plays" in report
    assert str(store_of(client).folder) not in report + json.dumps([record, result])
    low = answered(client, {**item, "snr_db": -1.0})
    assert (low["state"], "snr_db is -1" in low["result"]) == ("failed", True)


@pytest.fixture(scope="module")
def folder() -> bytes:
    """A folder of two classes; its names are hostile."""
    classes = ("ballroom/a <b>/", "ballroom/b/")
    return zipped(
        {
            f"{place}{i} {HOSTILE}": noise(4, seed=10 * k + i)
            for k, place in enumerate(classes)
            for i in range(3)
        }
        | {"ballroom/notes.txt": b"x", "__MACOSX/ballroom/b/._0.wav": b"x"}
    )


def test_a_folder_is_interrogated_with_and_without_its_labels(
    client: TestClient, folder: bytes
) -> None:
    item: dict[str, Any] = {
        "kind": "interrogate",
        "model": "genre-frames-random",
        "upload": uploaded(client, folder, "dances <i>.zip"),
        "changes": {"gain": 3, "polarity": 1},
        "unlabelled": True,
    }
    result = done(client, item)
    assert [row[0].split()[0] for row in result["table"][1:3]] == ["no", "gain"]
    record = file_of(client, result, "result.json").json()
    report = file_of(client, result, "report.html").text
    assert "dances &lt;i&gt;" in report
    assert "<img src=x" not in report
    assert item["upload"] not in report + json.dumps(record)
    assert len([*(store_of(client).folder / item["upload"]).glob("*.wav")]) == 6
    wrong = answered(client, {**item, "unlabelled": False})
    assert "label 'a <b>' is none of the model's answers" in wrong["result"]
    assert "“Take the answers to the unchanged sounds as right”" in wrong["result"]
    loose = uploaded(client, zipped({"a.wav": noise(4)}), "loose.zip")
    assert (
        "outside of folders"
        in answered(client, {**item, "upload": loose, "unlabelled": False})["result"]
    )


def test_one_broken_sound_of_a_set_is_skipped_and_named(client: TestClient) -> None:
    sounds = {f"set/{i % 2}/{i}.wav": noise(4, seed=i) for i in range(4)}
    whole = uploaded(client, zipped(sounds), "whole.zip")
    broken = uploaded(client, zipped({**sounds, "set/1/broken.wav": b"no sound"}), "broken.zip")
    asked = {"kind": "interrogate", "model": "genre-frames-random", "unlabelled": True}
    skipped = "1: broken.wav: cannot be read as sound"
    result = done(client, {**asked, "changes": {"gain": 3}, "upload": broken})
    assert [skipped in note for note in result["notes"]].count(True) == 1, result["notes"]
    assert (
        result["table"] == done(client, {**asked, "changes": {"gain": 3}, "upload": whole})["table"]
    )
    sets = {"kind": "distance", "model": "synth-singing", "real": [whole]}
    text = uploaded(client, b"no sound", "text.wav")
    result = done(client, {**sets, "generated": [broken, text]})
    notes = " ".join(result["notes"])
    assert (skipped in notes, "text.wav: cannot be read as sound" in notes) == (True, True), notes
    alone = answered(client, {**sets, "generated": [text]})
    assert (alone["state"], "text.wav" in alone["result"]) == ("failed", True)


def test_a_sound_without_onsets_is_told_what_to_choose(client: TestClient) -> None:
    key = uploaded(client, silence(), "silent.wav")
    item = {"kind": "explain", "model": "synth-singing", "upload": key, "segments": "onsets"}
    reason = answered(client, item)["result"]
    assert reason.endswith("no onset was found in the excerpt; choose “Segments” 10 spans of time")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "changes must name some of tempo"),
        ({"delete": 1}, "changes must name some of tempo"),
        ({"tempo": "fast"}, "tempo is 'fast', must be a number"),
        ({"tempo": 1000}, "1000"),
        ("all", "changes must name"),
    ],
)
def test_wrong_changes_are_refused(client: TestClient, changes: Any, words: str) -> None:
    item = {"kind": "interrogate", "model": "synth-singing", "changes": changes}
    sound = uploaded(client, noise(0.1))
    assert "is no zip" in client.post("/work/jobs", json={**item, "upload": sound}).text
    key = uploaded(client, zipped({"a.wav": b"x"}), "a.zip")
    answer = client.post("/work/jobs", json={**item, "upload": key})
    assert (answer.status_code, words in answer.text) == (400, True), answer.text


def test_two_sets_have_the_distance_of_the_command(
    client: TestClient, folder: bytes, tmp_path: Path
) -> None:
    from otoscope.workflows import FeatureConfig
    from otoscope.workflows.distance import measure_distance

    alone = [noise(6, seed=100 + i) for i in range(2)]
    for i in range(3):
        for k in range(2):
            (tmp_path / "real").mkdir(exist_ok=True)
            (tmp_path / "real" / f"{k}{i}.wav").write_bytes(noise(4, seed=10 * k + i))
    (tmp_path / "generated").mkdir()
    for i, content in enumerate(alone):
        (tmp_path / "generated" / f"{i}.wav").write_bytes(content)
    config = FeatureConfig("synth-singing")
    expected = measure_distance(tmp_path / "real", tmp_path / "generated", config)
    item: dict[str, Any] = {
        "kind": "distance",
        "model": "synth-singing",
        "real": [uploaded(client, folder, "real.zip")],
        "generated": [uploaded(client, content, HOSTILE) for content in alone],
        "per_file": True,
    }
    result = done(client, item)
    record = file_of(client, result, "result.json").json()
    assert record["distance"] == pytest.approx(expected.distance, rel=1e-4)
    assert result["sentence"].startswith("Fréchet distance ")
    assert {row[0] for row in result["table"][1:]} == {HOSTILE}
    report = file_of(client, result, "report.html").text
    assert "How far is generated from real?" in report
    assert escape(HOSTILE) in report
    assert "not comparable with published figures" in " ".join(result["notes"])
    assert "--" not in " ".join(result["notes"])
    assert not [key for key in (*item["real"], *item["generated"]) if key in report]
    assert not [k for k in (*item["real"], *item["generated"]) if k in json.dumps(record)]
    wrong = answered(client, {**item, "layer": "nowhere"})
    assert "nowhere" in wrong["result"]
    for real in ([], "all", ["none"]):
        assert client.post("/work/jobs", json={**item, "real": real}).status_code in (400, 410)


def silence() -> bytes:
    file = io.BytesIO()
    soundfile.write(file, [0.0] * 66150, 22050, format="WAV")
    return file.getvalue()


def bomb() -> bytes:
    return zipped({f"a/{i}.wav": bytes(2**20) for i in range(20)})


def liar() -> bytes:
    """An archive whose list says that its member has 10 bytes."""
    content = zipped({"a/a.wav": bytes(5000)})
    size = (5000).to_bytes(4, "little")
    return content.replace(size, (10).to_bytes(4, "little"))


def damaged() -> bytes:
    return zipped({"a/a.wav": b"some samples"}, zipfile.ZIP_STORED).replace(b"some", b"same")


def many() -> bytes:
    """An archive that says that it lists 60,000 files."""
    content = zipped({"a/a.wav": b"x"})
    end = content.rfind(b"PK\x05\x06")
    return content[: end + 8] + b"\x60\xea\x60\xea" + content[end + 12 :]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (bomb, "x.zip unpacks to 20 MB"),
        (liar, "x.zip cannot be read as a zip"),
        (many, "x.zip lists 60,000 files"),
        (lambda: zipped({f"a/{i}.wav": b"x" for i in range(21)}), "holds 21 sounds; at most 20"),
        (lambda: zipped({"a/notes.txt": b"x"}), "x.zip holds no sound files"),
        (lambda: zipped({"a/a.wav": b"x"}, zipfile.ZIP_LZMA), "another method than deflate"),
        (lambda: b"not a zip" * 100, "x.zip is no zip"),
        (lambda: zipped({"a/a.wav": b"x"})[:-30], "x.zip is no zip"),
        (damaged, "x.zip cannot be read as a zip"),
    ],
)
def test_hostile_archives_are_refused_in_one_line_and_leave_nothing(
    client: TestClient, content: Any, words: str
) -> None:
    key = uploaded(client, content(), "x.zip")
    answer = answered(
        client,
        {
            "kind": "interrogate",
            "model": "synth-singing",
            "upload": key,
            "changes": {"gain": 3},
            "unlabelled": True,
        },
    )
    assert answer["state"] == "failed"
    assert words in answer["result"]
    assert "\n" not in answer["result"]
    assert [path.name for path in store_of(client).folder.rglob(f"*{key}*")] == [f"{key}.zip"]


def test_members_with_paths_stay_in_their_folder(client: TestClient) -> None:
    names = ("../../up.wav", "/abs.wav", "C:\\x\\y.wav", "a/../../b.wav", "a/b\0.wav", "a/.hid.wav")
    key = uploaded(client, zipped(dict.fromkeys(names, noise(0.1))), "x.zip")
    before = {*store_of(client).folder.iterdir()}
    item = {"kind": "distance", "model": "synth-singing", "real": [key], "generated": [key]}
    assert answered(client, item)["state"] == "failed"
    made = {*store_of(client).folder.iterdir()} - before
    assert store_of(client).folder / key in made
    files = [*(store_of(client).folder / key).rglob("*")]
    assert {file.parent.name for file in files} == {key}
    assert all(file.name.startswith(f"{key}-0") for file in files if file.suffix == ".wav")
