"""Exported sounds and imported predictions: the verdict is that of a system in Python."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.intervene import (
    Crop,
    Gain,
    Interrogation,
    InterrogationSettings,
    LeadingSilence,
    Polarity,
    SoundIntervention,
    Unasked,
    export_sounds,
    import_predictions,
    read_export,
)
from otoscope.intervene.registry import all_settings, from_settings, registered
from otoscope.signal import read_audio
from tests.support.loudness import AMPLITUDES, LABELS, Shift, by_peak, steady, without_settings

SR = 800
SOUNDS = [(y.repeat(10), SR) for y in steady(AMPLITUDES)]
CHANGES: list[SoundIntervention] = [
    Gain(6),
    Polarity(),
    Crop(0.1, label_preserving=False),
    LeadingSilence(0.05) | Polarity(),
]
FAST = InterrogationSettings(n_draws=50)
GROUPS = [f"artist {i // 2}" for i in range(12)]
CONFOUND = [float(i) for i in range(12)]


def interrogation(predict: Any, labels: Sequence[str] | None = LABELS) -> Interrogation:
    settings = InterrogationSettings(sr=SR, n_draws=50)
    return Interrogation(
        predict, SOUNDS, labels, groups=GROUPS, confound=CONFOUND, settings=settings
    )


def answer(
    folder: Path, path: Path, predict: Callable[[Tensor], list[str]] = by_peak
) -> list[list[str]]:
    """Answer a manifest, as a program would that knows nothing else; return the rows."""
    with (folder / "manifest.csv").open() as file:
        names = [(row["id"], row["file"]) for row in csv.DictReader(file)]
    rows = [[name, predict(read_audio(folder / file)[0][None])[0]] for name, file in names]
    write(path, [["id", "label"], *rows])
    return rows


def write(path: Path, rows: list[list[str]]) -> None:
    path.write_text("\n".join(",".join(row) for row in rows) + "\n")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exchange") / "export"
    export_sounds(interrogation(Unasked("x")), folder, CHANGES, doses={"gain": [-6, 3]}, budget=3)
    return folder


@pytest.fixture(scope="module")
def rows(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> list[list[str]]:
    return answer(folder, tmp_path_factory.mktemp("rows") / "all.csv")


def test_the_verdict_is_that_of_the_same_answers_in_python(
    folder: Path, rows: list[list[str]], tmp_path: Path
) -> None:
    expected = interrogation(by_peak).run(CHANGES, doses={"gain": [-6, 3]}, budget=3)
    write(tmp_path / "tagger.csv", [["id", "label"], *rows])
    result, judged = import_predictions(tmp_path / "tagger.csv", folder, settings=FAST)
    assert without_settings(result) == without_settings(expected)
    assert result.searches[-1].name == "compositions"
    assert result.confound is not None
    assert result.settings["system"] == "tagger"
    before, after, sr = judged.render_pair(result.pairs[0])
    originals = interrogation(by_peak)
    originals.run(CHANGES)
    same = originals.render_pair(expected.pairs[0])
    assert sr == SR
    assert (before == same[0]).all()
    assert (after == same[1]).all()


def test_scores_of_classes_are_answers_too(
    folder: Path, rows: list[list[str]], tmp_path: Path
) -> None:
    scored = [[name, "x.wav", str(label == "soft"), str(label == "loud")] for name, label in rows]
    scored = [[cell.replace("True", "0.9").replace("False", "1e-3") for cell in r] for r in scored]
    write(tmp_path / "scores.csv", [["id", "file", "soft", "loud"], *scored])
    write(tmp_path / "labels.csv", [["id", "label"], *reversed(rows)])
    both = [
        import_predictions(tmp_path / f"{name}.csv", folder, settings=FAST)[0]
        for name in ("scores", "labels")
    ]
    assert without_settings(both[0]) == without_settings(both[1])


def test_names_and_files_say_nothing_of_items_and_changes(folder: Path) -> None:
    files = sorted((folder / "sounds").iterdir())
    assert all(re.fullmatch("s[0-9a-f]{16}", file.stem) for file in files)
    assert len({file.stat().st_mtime_ns for file in files}) == 1
    assert len({file.stat().st_size for file in files}) == 1
    manifest = (folder / "manifest.csv").read_text()
    assert manifest.splitlines() == ["id,file", *(f"{f.stem},sounds/{f.name}" for f in files)]
    for word in ("loud", "soft", "gain", "item"):
        assert word not in manifest
    order = [name for of_item in read_export(folder).ids.values() for name in of_item]
    assert order != sorted(order)
    assert len(files) == 12 * (1 + 2 + 1 + 3 + 1 + 3)  # no change has a placebo


def test_without_labels_any_answer_is_a_label(tmp_path: Path) -> None:
    export_sounds(interrogation(Unasked("x"), None), tmp_path / "e", [Gain(6)])
    answer(tmp_path / "e", tmp_path / "e" / "predictions.csv")
    result, _ = import_predictions(tmp_path / "e" / "predictions.csv", settings=FAST)
    expected = interrogation(by_peak, None).run([Gain(6)])
    assert without_settings(result) == without_settings(expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t[:-1], r"no prediction for 1 of 132 ids; the first is s[0-9a-f]{16}"),
        (lambda t: [*t, t[1]], r"line 134: id s[0-9a-f]+ is there twice, first in line 2"),
        (lambda t: [*t, ["s0", "loud"]], "line 134: id 's0' is not in the manifest"),
        (lambda t: [t[0], [t[1][0], "lowd"], *t[2:]], r"line 2 \(id s.*'lowd' is none of loud, so"),
        (lambda t: [t[0], [t[1][0], "nan"], *t[2:]], r"line 2 .*label is 'nan', must not be miss"),
        (lambda t: [t[0], [t[1][0], ""], *t[2:]], r"line 2 .*label is '', must not be missing"),
        (lambda t: [t[0], ["", "loud"], *t[2:]], "line 2: id '' is not in the manifest"),
        (lambda t: [["name", "label"], *t[1:]], "has no column 'id'; its first line names name, l"),
        (lambda t: [["id", "id"], *t[1:]], "names a column twice"),
        (lambda t: [["id;label"], *t[1:]], "separate columns by commas"),
        (lambda t: [["id", "answer"], *t[1:]], "no column 'label', and no columns of scores"),
        (lambda t: [t[0], [*t[1], "x"], *t[2:]], "line 2: 3 columns, not 2"),
        (lambda t: [["id", "loud", "hard"], *([r[0], "1", "0"] for r in t[1:])], "'hard' is none"),
        (
            lambda t: [["id", "loud", "soft"], *([r[0], "1", "nan"] for r in t[1:])],
            r"line 2 .*the score of soft is 'nan', must be a finite number",
        ),
        (
            lambda t: [["id", "loud", "soft"], *([r[0], "high", "0"] for r in t[1:])],
            r"the score of loud is 'high'",
        ),
        (lambda t: [], "has no column 'id'; its first line names -"),
    ],
)
def test_bad_predictions_are_told_with_line_and_id(
    folder: Path,
    rows: list[list[str]],
    tmp_path: Path,
    change: Callable[[list[list[str]]], list[list[str]]],
    message: str,
) -> None:
    write(tmp_path / "bad.csv", change([["id", "label"], *rows]))
    with pytest.raises(ParameterError, match=message) as error:
        import_predictions(tmp_path / "bad.csv", folder)
    assert "bad.csv" in str(error.value)


def test_files_that_are_none_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="not there"):
        import_predictions(tmp_path / "none.csv", folder)
    (tmp_path / "bad.csv").write_bytes(b"id,label\n\xff\xfe,\xff\n")
    with pytest.raises(ParameterError, match="is no text in UTF-8"):
        import_predictions(tmp_path / "bad.csv", folder)
    with pytest.raises(ParameterError, match=r"holds no key\.json"):
        import_predictions(tmp_path / "bad.csv")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda key: key | {"format": "otoscope.Explanation/1"}, "is not an export"),
        (lambda key: key | {"seed": "1"}, "has seed '1', needs int"),
        (lambda key: {k: v for k, v in key.items() if k != "rounds"}, "lacks rounds"),
        (lambda key: key | {"rounds": key["rounds"][1:]}, "has not 8 sounds for each of 12"),
        (lambda key: key | {"labels": ["loud"]}, "columns of other lengths"),
        (lambda key: key | {"interventions": [{"intervention": "os.system"}]}, "must be one of"),
        (lambda key: key | {"interventions": [{"intervention": "Gain", "db": []}]}, "is damaged"),
        (lambda key: key | {"rounds": [3]}, "is damaged"),
        (lambda key: key | {"rounds": [*key["rounds"], key["rounds"][0] | {"round": "tries 9"}]},
         "names a sound twice"),
    ],
)  # fmt: skip
def test_a_damaged_key_is_one_error(
    folder: Path, tmp_path: Path, change: Callable[[dict[str, Any]], dict[str, Any]], message: str
) -> None:
    key = json.loads((folder / "key.json").read_text())
    (tmp_path / "key.json").write_text(json.dumps(change(key)))
    with pytest.raises(ParameterError, match=message):
        read_export(tmp_path)


def test_what_cannot_be_exported_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="intervention is 'Shift', must be one of"):
        export_sounds(interrogation(Unasked("x")), tmp_path / "a", [Shift(3)])
    with pytest.raises(ParameterError, match="not an empty folder"):
        export_sounds(interrogation(Unasked("x")), folder, [Gain(6)])
    with pytest.raises(ParameterError, match="answers by a file; nothing can be asked"):
        interrogation(Unasked("x")).run([Gain(6)])
    assert not list(tmp_path.iterdir())


def test_every_intervention_is_made_again_from_its_settings() -> None:
    for entry in registered():
        for example in entry.examples:
            for one in (example, example | Polarity(label_preserving=False)):
                settings = json.loads(json.dumps(all_settings(one)))
                assert from_settings(settings) == one
