"""BALLROOM: the folder's layout and annotations, and the published features and their figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binomtest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from otoscope.data.ballroom import (
    BALLROOM_STYLES,
    REPLICAS,
    BallroomRhythm,
    load_ballroom,
    load_ballroom_rhythm,
)
from otoscope.errors import ParameterError

FILES = (
    "ChaChaCha/Albums-Fire-08.wav",
    "Rumba-American/Albums-Latin_Jam2-07.wav",
    "Rumba-International/Albums-Latin_Jam2-15.wav",
    "Samba/Albums-Fire-09.wav",
    "VienneseWaltz/Media-104801.wav",
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Lay out a few recordings as the data set has them; their sound is not read."""
    audio, tempo = tmp_path / "BallroomData", tmp_path / "BallroomAnnotations/ballroomGroundTruth"
    tempo.mkdir(parents=True)
    for index, file in enumerate(FILES):
        (audio / file).parent.mkdir(parents=True, exist_ok=True)
        (audio / file).touch()
        (tempo / Path(file).with_suffix(".bpm").name).write_text(f"{100 + index}\n")
    (audio / "nada").mkdir()
    (audio / "allBallroomFiles").write_text("".join(f"./{file}\n" for file in FILES))
    return tmp_path


def test_recordings_are_found_with_their_truth(folder: Path) -> None:
    recordings = {recording.name: recording for recording in load_ballroom(folder)}
    assert list(recordings) == [
        "ChaChaCha/Albums-Fire-08",
        "Rumba/Albums-Latin_Jam2-07",
        "Rumba/Albums-Latin_Jam2-15",
        "Samba/Albums-Fire-09",
        "VienneseWaltz/Media-104801",
    ]
    assert [recording.tempo_bpm for recording in recordings.values()] == [100, 101, 102, 103, 104]
    assert [recording.meter for recording in recordings.values()] == [4, 4, 4, 4, 3]
    albums = ["Albums-Fire", "Albums-Latin_Jam2", "Albums-Latin_Jam2", "Albums-Fire", ""]
    assert [recording.album for recording in recordings.values()] == albums
    for name, recording in recordings.items():
        assert recording.path.is_file()
        assert recording.style == name.split("/")[0]


def test_replicas_are_one_group_even_across_dances(folder: Path) -> None:
    group = {recording.name: recording.group for recording in load_ballroom(folder)}
    assert group["ChaChaCha/Albums-Fire-08"] == group["Samba/Albums-Fire-09"]
    assert group["Rumba/Albums-Latin_Jam2-07"] == group["Rumba/Albums-Latin_Jam2-15"]
    assert len(set(group.values())) == 3


def test_beats_give_the_tempo_where_there_is_no_bpm(folder: Path) -> None:
    path = next(folder.rglob("Media-104801.bpm"))
    path.with_suffix(".beats").write_text("0.5 1\n0.9 2\n1.3 3\n9.0 1\n")
    assert load_ballroom(folder)[-1].tempo_bpm == 104
    path.unlink()
    assert load_ballroom(folder)[-1].tempo_bpm == pytest.approx(150)


def test_without_annotations_no_tempo_is_known(folder: Path) -> None:
    assert {recording.tempo_bpm for recording in load_ballroom(folder / "BallroomData")} == {None}


def test_all_missing_files_are_named_in_one_error(folder: Path) -> None:
    for file in FILES[1:3]:
        (folder / "BallroomData" / file).unlink()
    with pytest.raises(ParameterError, match=r"2 .* not there: Rumba/.*-07, Rumba/.*-15$"):
        load_ballroom(folder)


def test_all_missing_tempi_are_named_in_one_error(folder: Path) -> None:
    for name in ("Albums-Fire-08", "Albums-Fire-09"):
        next(folder.rglob(f"{name}.bpm")).unlink()
    with pytest.raises(ParameterError, match=r"2 .* neither \.bpm nor .*Fire-08.*, .*Fire-09"):
        load_ballroom(folder)


@pytest.mark.parametrize(
    ("file", "text"),
    [("x.bpm", text) for text in ("", "fast", "-3", "inf")]
    + [("x.beats", text) for text in ("", "1.0 1\n", "2.0 1\n1.0 2\n", "1.0 1\n1.0 2\n")],
)
def test_unreadable_annotations_are_named(folder: Path, file: str, text: str) -> None:
    (folder / file).write_text(text)
    with pytest.raises(ParameterError, match=rf"1 annotations cannot be read: .*{file}"):
        load_ballroom(folder)


def test_other_folders_are_refused(folder: Path, tmp_path: Path) -> None:
    (folder / "BallroomData/nada/x.wav").touch()
    with pytest.raises(ParameterError, match=r"1 recordings lie in folders .*nada/x\.wav"):
        load_ballroom(folder)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ParameterError, match=r"looked for BallroomData/<style>/\*\.wav"):
        load_ballroom(tmp_path / "empty")


ARRAYS = {
    "features": np.zeros((2, 3, 13)),
    "dilation_percent": np.array([0, 4]),
    "recording": np.array(["Samba/Albums-Fire-09.wav", "ChaChaCha/Albums-Fire-08.wav", "Jive/a"]),
    "label": np.array(["Samba", "ChaChaCha", "Jive"]),
}


def save(path: Path, arrays: Mapping[str, NDArray[np.generic]]) -> None:
    np.savez(path, allow_pickle=True, **arrays)


def test_features_are_read_by_dilation(tmp_path: Path) -> None:
    save(tmp_path / "a.npz", ARRAYS)
    rhythm = load_ballroom_rhythm(tmp_path / "a.npz")
    assert list(rhythm.features) == [0, 4]
    assert rhythm.features[4].shape == (3, 13)
    assert rhythm.style == ("Samba", "ChaChaCha", "Jive")
    assert rhythm.group == (*["ChaChaCha/Albums-Fire-08"] * 2, "Jive/a")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"label": None}, "has no label; has features"),
        ({"label": np.array(["Samba"])}, r"label \(1,\); need"),
        ({"features": np.zeros((2, 3, 12))}, r"features has shape \(2, 3, 12\)"),
        ({"features": np.full((2, 3, 13), np.nan)}, "must be finite"),
        ({"features": np.zeros((2, 3, 13), int)}, "must be finite and floating"),
        ({"dilation_percent": np.array([4, 4])}, "holds a value twice"),
        ({"recording": np.array([None] * 3)}, "without pickles"),
    ],
)
def test_unfit_features_are_refused(
    tmp_path: Path, change: dict[str, NDArray[np.generic] | None], match: str
) -> None:
    arrays = {key: value for key, value in {**ARRAYS, **change}.items() if value is not None}
    save(tmp_path / "a.npz", arrays)
    with pytest.raises(ParameterError, match=match):
        load_ballroom_rhythm(tmp_path / "a.npz")


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x03\x04 broken"])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(ParameterError, match=r"cannot be read as \.npz"):
        load_ballroom_rhythm(tmp_path / "a.npz")
    np.save(tmp_path / "b.npy", np.zeros(3))
    with pytest.raises(ParameterError, match=r"cannot be read as \.npz"):
        load_ballroom_rhythm(tmp_path / "b.npy")
    with pytest.raises(ParameterError, match="not there"):
        load_ballroom_rhythm(tmp_path / "c.npz")


@pytest.fixture
def published(shared: Path) -> BallroomRhythm:
    return load_ballroom_rhythm(shared / "data/ballroom/ballroom_rhythm.npz")


def test_published_features_are_the_data_set(published: BallroomRhythm) -> None:
    counts = (111, 60, 82, 98, 86, 86, 65, 110)
    assert Counter(published.style) == dict(zip(BALLROOM_STYLES, counts, strict=True))
    assert set(np.ravel(REPLICAS)) <= set(published.recording)
    assert len(set(published.group)) == 698 - 13
    assert sorted(abs(d) for d in published.features) == sorted(
        [0, *[1, 2, 3, 4, 6, 8, 10, 15] * 2]
    )


@pytest.mark.parametrize(
    ("name", "accuracy", "inflated", "deflated"),
    [
        ("LDA", 0.714, 0.895, 0.100),
        ("QDA", 0.719, 0.952, 0.067),
        ("9NN", 0.700, 0.910, 0.095),
        ("1NN", 0.662, None, None),
    ],
)
def test_figures_of_the_page_are_reproduced(
    published: BallroomRhythm,
    name: str,
    accuracy: float,
    inflated: float | None,
    deflated: float | None,
) -> None:
    is_right, reachable = answers(published, name)
    assert is_right[0].mean() == pytest.approx(accuracy, abs=0.002)
    small = np.array([row for dilation, row in is_right.items() if abs(dilation) <= 6])
    if inflated is not None:
        assert small.any(0).mean() == pytest.approx(inflated, abs=0.002)
        assert small.all(0).mean() == pytest.approx(deflated, abs=0.002)
    if name == "LDA":
        by_dilation = {-10: 0.367, -6: 0.495, -4: 0.462, 4: 0.605, 6: 0.495, 10: 0.262}
        for dilation, score in by_dilation.items():
            assert is_right[dilation].mean() == pytest.approx(score, abs=0.002)
        assert reachable == pytest.approx(2.28, abs=0.005)
        tiny = np.array([row for dilation, row in is_right.items() if abs(dilation) <= 2])
        assert tiny.any(0).mean() == pytest.approx(0.810, abs=0.002)
        assert tiny.all(0).mean() == pytest.approx(0.452, abs=0.002)
        lost, won = (is_right[0] & ~is_right[-4]).sum(), (~is_right[0] & is_right[-4]).sum()
        assert binomtest(int(lost), int(lost + won)).pvalue == pytest.approx(5e-9, rel=0.1)


def answers(published: BallroomRhythm, name: str) -> tuple[dict[int, NDArray[np.bool_]], float]:
    """Train on the page's split; right answers by dilation, and labels reachable within 6 %."""
    classifier = {
        "LDA": LinearDiscriminantAnalysis(),
        "QDA": QuadraticDiscriminantAnalysis(),
        "1NN": KNeighborsClassifier(1),
        "9NN": KNeighborsClassifier(9, weights="distance"),
    }[name]
    style = np.array(published.style)
    train, test = train_test_split(np.arange(len(style)), test_size=0.3, random_state=123)
    model = make_pipeline(StandardScaler(), classifier).fit(
        published.features[0][train], style[train]
    )
    answers = {d: model.predict(rows[test]) for d, rows in published.features.items()}
    small = np.array([answer for dilation, answer in answers.items() if abs(dilation) <= 6])
    reachable = float(np.mean([len(set(labels)) for labels in small.T]))
    return {d: answer == style[test] for d, answer in answers.items()}, reachable
