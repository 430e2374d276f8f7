"""BALLROOM's rhythm features: the published figures, and the same on made-up features."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from otoscope.cli.app import app
from otoscope.data.ballroom import BALLROOM_STYLES, BallroomRhythm, load_ballroom_rhythm
from otoscope.errors import ParameterError
from otoscope.papers.c_horse.ballroom_features import (
    HorseBallroomFeaturesConfig,
    _albums,
    horse_ballroom_features,
)
from tests.support.paths import SHARED

PUBLISHED = SHARED / "data" / "ballroom" / "ballroom_rhythm.npz"

DILATIONS = (-6, -4, -2, 0, 2, 4, 6)

PAGE = {
    "n": 698,
    "n/replicas": 13,
    "n/ChaChaCha": 111,
    "n/Jive": 60,
    "n/Quickstep": 82,
    "n/Rumba": 98,
    "n/Samba": 86,
    "n/Tango": 86,
    "n/VienneseWaltz": 65,
    "n/Waltz": 110,
    "lda/accuracy": 0.714,
    "qda/accuracy": 0.719,
    "1nn/accuracy": 0.662,
    "9nn/accuracy": 0.700,
    "lda/accuracy/-10": 0.367,
    "lda/accuracy/-6": 0.495,
    "lda/accuracy/-4": 0.462,
    "lda/accuracy/+4": 0.605,
    "lda/accuracy/+6": 0.495,
    "lda/accuracy/+10": 0.262,
    "lda/inflated/6": 0.895,
    "lda/deflated/6": 0.100,
    "qda/inflated/6": 0.952,
    "qda/deflated/6": 0.067,
    "9nn/inflated/6": 0.910,
    "9nn/deflated/6": 0.095,
    "lda/inflated/2": 0.810,
    "lda/deflated/2": 0.452,
}
"""Section 2 of paper C's page."""


@pytest.mark.slow
@pytest.mark.skipif(not PUBLISHED.exists(), reason="needs ../shared/data/ballroom")
def test_every_published_figure_to_two_thousandths(tmp_path: Path) -> None:
    tables = horse_ballroom_features(HorseBallroomFeaturesConfig(PUBLISHED), tmp_path)
    record = json.loads((tmp_path / "horse_ballroom_features.json").read_text())
    figures = record["figures"]
    assert {name: figures[name] for name in PAGE} == pytest.approx(PAGE, abs=0.002)
    assert figures["lda/accuracy, by chance"] == pytest.approx(0.13, abs=0.01)
    assert figures["lda/reachable/6"] == pytest.approx(2.28, abs=0.005)
    assert figures["lda/p/-4"] == pytest.approx(7.28e-9, rel=0.01)  # 5e-9 if replicas were alone
    assert [table.title for table in tables] == [
        "published: 210 recordings tested",
        "published, less replicas: 206 recordings tested",
        "by album: 233 recordings tested",
    ]
    for protocol in record["protocols"].values():
        for result in protocol.values():
            assert result["6"]["verdict"]["kind"] == "horse"
    assert (tmp_path / "horse_ballroom_features.svg").stat().st_size > 10_000


def made_up(folder: Path, *, moves: float = 1.0, n: int = 60) -> Path:
    """Two dances whose first feature is the tempo: it moves by as much as they differ, times moves.

    Recordings lie at -1 or +1, with a spread of .1; a dilation of 6 % adds 2 times ``moves``.
    """
    rng = np.random.default_rng(0)
    label = np.array(["Jive", "Waltz"] * (n // 2))
    features = rng.normal(size=(len(DILATIONS), n, 13)) * 0.1
    features[:, :, 0] += np.where(label == "Jive", -1.0, 1.0)
    features[:, :, 0] += moves * np.array(DILATIONS)[:, None] / 3
    path = folder / "made_up.npz"
    np.savez(
        path,
        features=features,
        dilation_percent=np.array(DILATIONS),
        recording=np.array([f"{style}/Media-{i:03}.wav" for i, style in enumerate(label)]),
        label=label,
    )
    return path


def run(folder: Path, settings: HorseBallroomFeaturesConfig) -> dict[str, Any]:
    horse_ballroom_features(settings, folder)
    record: dict[str, Any] = json.loads((folder / "horse_ballroom_features.json").read_text())
    return record


def test_a_planted_tempo_horse_is_found(tmp_path: Path) -> None:
    """6 % one way makes every Waltz a Jive, the other way every Jive a Waltz."""
    record = run(
        tmp_path, HorseBallroomFeaturesConfig(made_up(tmp_path, n=80), within_percent=(2.0, 6.0))
    )
    figures = record["figures"]
    assert figures["lda/accuracy"] == 1
    assert figures["lda/deflated/6"] == 0
    assert figures["lda/inflated/6"] == 1
    assert figures["lda/reachable/6"] == 2
    assert figures["lda/deflated/2"] == 1
    n_jive = record["protocols"]["published"]["LDA"]["6"]["flips"][0]["n"]
    n_test = sum(flips["n"] for flips in record["protocols"]["published"]["LDA"]["6"]["flips"])
    assert figures["lda/accuracy/-6"] == n_jive / n_test
    assert figures["lda/p/-6"] == pytest.approx(2.0 ** (1 - (n_test - n_jive)))
    assert record["protocols"]["by album"]["9NN"]["6"]["verdict"]["kind"] == "horse"


def test_features_that_tempo_does_not_move_are_cleared(tmp_path: Path) -> None:
    record = run(
        tmp_path,
        HorseBallroomFeaturesConfig(made_up(tmp_path, moves=0, n=200), within_percent=(6.0,)),
    )
    result = record["protocols"]["published"]
    for name in ("LDA", "QDA"):
        assert result[name]["6"]["verdict"]["kind"] == "cleared"
        assert result[name]["6"]["searches"][0]["deflated"]["value"] == 1
    assert all(doses["6"]["verdict"]["kind"] != "horse" for doses in result.values())


def test_albums_and_replicas_are_one_group() -> None:
    names = ("Waltz/Albums-A-01", "Waltz/Albums-A-02", "Waltz/Media-1", "Tango/Albums-B-01")
    replicas = ("x", "y", "Waltz/Media-1", "x")  # A-01 and B-01 are one recording
    albums = _albums(BallroomRhythm({}, names, ("Waltz",) * 4, replicas))
    assert albums[0] == albums[1] == albums[3] != albums[2]


@pytest.mark.skipif(not PUBLISHED.exists(), reason="needs ../shared/data/ballroom")
def test_the_real_albums() -> None:
    rhythm = load_ballroom_rhythm(PUBLISHED)
    albums = dict(zip(rhythm.recording, _albums(rhythm), strict=True))
    assert len(albums) == 698
    together: dict[str, set[str]] = {}
    for name, replica in zip(rhythm.recording, rhythm.group, strict=True):
        together.setdefault(replica, set()).add(albums[name])
        if "/Albums-" in name:
            together.setdefault(name.split("/")[1][:-3], set()).add(albums[name])
    assert all(len(groups) == 1 for groups in together.values())
    assert len(set(albums.values())) > 400  # most recordings have no album


def ballroom(folder: Path, n: int = 60, *, annotated: bool = True) -> Path:
    """The folder of the recordings of `made_up`: Jive at 170 to 175, Waltz at 85 to 90 a minute."""
    for i in range(n):
        style, bpm = ("Jive", 170 + i % 6) if i % 2 == 0 else ("Waltz", 85 + i % 6)
        stem = folder / "BallroomData" / style / f"Media-{i:03}"
        stem.parent.mkdir(parents=True, exist_ok=True)
        stem.with_suffix(".wav").touch()
        if annotated:
            stem.with_suffix(".bpm").write_text(str(bpm))
    return folder


def test_tempo_alone_is_measured_where_it_is_annotated(tmp_path: Path) -> None:
    settings = HorseBallroomFeaturesConfig(
        made_up(tmp_path), ballroom=ballroom(tmp_path / "real"), within_percent=(6.0,)
    )
    tables = horse_ballroom_features(settings, tmp_path / "new" / "out")
    record = json.loads((tmp_path / "new" / "out" / "horse_ballroom_features.json").read_text())
    assert record["figures"]["tempo/9NN on tempo"] == 1
    assert record["figures"]["tempo/1NN on tempo and meter"] == 1
    assert record["figures"]["tempo/9NN on tempo, by chance"] == pytest.approx(0.5, abs=0.1)
    assert record["figures"]["bpm/Jive/min"] == 170
    assert record["figures"]["bpm/Waltz/max"] == 90
    assert "annotators chose its metrical level by the dance" in tables[-1].title
    assert set(record["tempo"]) == set(record["protocols"])


def refused(*arguments: object) -> str:
    result = CliRunner().invoke(app, ["experiment", *map(str, arguments)])
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    return " ".join(result.output.split())


def test_command_prints_tables_and_json(tmp_path: Path) -> None:
    command = ["experiment", "horse-ballroom-features", "--out", str(tmp_path)]
    command += ["--features", str(made_up(tmp_path)), "--json", str(tmp_path / "tables.json")]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    assert "published: 18 recordings tested" in result.output
    written = json.loads((tmp_path / "tables.json").read_text())
    assert written["tables"][0]["columns"][0] == "classifier"


def test_bad_input_is_one_line(tmp_path: Path) -> None:
    command = ("horse-ballroom-features", "--out", tmp_path, "--features")
    assert "is not there" in refused(*command, tmp_path / "missing.npz")
    silent = ballroom(tmp_path / "silent", annotated=False)
    features = made_up(tmp_path)
    assert "looked for .bpm and .beats" in refused(*command, features, "--ballroom", silent)
    fewer = ballroom(tmp_path / "fewer", n=10)
    assert "50 recordings of the features are not in" in refused(
        *command, features, "--ballroom", fewer
    )
    assert "QDA cannot be trained" in refused(*command, made_up(tmp_path, n=16))
    settings = HorseBallroomFeaturesConfig(made_up(tmp_path), within_percent=(5.0,))
    with pytest.raises(ParameterError, match="percent is 5; available are"):
        horse_ballroom_features(settings, tmp_path)


def test_one_class_or_one_recording_a_class_is_refused(tmp_path: Path) -> None:
    path = made_up(tmp_path)
    with np.load(path) as arrays:
        held = dict(arrays)
    np.savez(path, **{**held, "label": np.array(["Jive"] * 60)})
    command = ("horse-ballroom-features", "--out", tmp_path, "--features", path)
    assert "items are of class 'Jive'" in refused(*command)
    styles = np.array(BALLROOM_STYLES)
    few = {"recording": held["recording"][:8], "features": held["features"][:, :8]}
    np.savez(path, **{**held, **few, "label": styles})
    assert "no split by albums" in refused(*command)
