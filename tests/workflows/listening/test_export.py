"""Export of listening tests: what the page hides, one loudness, sounds that make no test."""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from otoscope.errors import ParameterError
from otoscope.signal.audio.files import write_audio
from otoscope.signal.loudness import loudness
from otoscope.workflows.listening.export import ListeningTestConfig, export_listening_test
from otoscope.workflows.listening.stimuli import read_stimuli
from tests.support.listening import CONDITIONS, SR, exported, sound, write_sounds


def heard(page: str) -> dict[str, tuple[np.ndarray, int]]:
    """Decode the sounds of a page by their names."""
    audio = re.findall(r'<audio id="sound-(\w+)"[^>]*src="data:audio/\w+;base64,([^"]+)"', page)
    return {name: soundfile.read(io.BytesIO(base64.b64decode(data))) for name, data in audio}


def test_page_tells_no_condition_item_or_file(tmp_path: Path) -> None:
    test, page = exported(tmp_path, reference="original")
    without_sounds = re.sub(r'src="data:[^"]*"', "", page)
    for name in (*CONDITIONS, "codec", "item-0", "item-1", ".wav", "anchor", str(tmp_path)):
        assert name not in re.sub(r"<(style|script)>.*?</\1>", "", without_sounds, flags=re.S)
    body = json.loads(re.search(r'id="listening">(.*?)</script>', page, re.S)[1])  # type: ignore[index]
    assert set(body) == {"test", "kind", "trials"}
    key = json.loads((tmp_path / "test" / "key.json").read_text())
    assert key["format"] == "otoscope.ListeningTest/1"
    assert body["test"] == key["test"] == test.test
    assert len(body["trials"]) == 2
    for trial in body["trials"]:
        assert trial["stimuli"] == sorted(trial["stimuli"])  # of names that are random
        assert all(re.fullmatch(r"s[0-9a-f]{12}", name) for name in trial["stimuli"])


def test_names_of_sounds_give_no_order_of_conditions_away(tmp_path: Path) -> None:
    """Over many trials each condition comes first about as often."""
    sounds = tmp_path / "sounds"
    write_sounds(sounds, n=2)
    config = ListeningTestConfig(sounds, repeats=60)
    test = export_listening_test(config, tmp_path / "test")
    firsts = [next(iter(trial["stimuli"].values())) for trial in test.trials]
    for condition in CONDITIONS:
        assert 22 <= firsts.count(condition) <= 58  # of 120


def test_all_sounds_have_one_loudness_within_a_tenth_of_a_decibel(tmp_path: Path) -> None:
    test, page = exported(tmp_path, reference="original")
    sounds = heard(page)
    assert len(sounds) == 2 * 5  # three conditions, an anchor, the open reference
    for y, sr in sounds.values():
        assert sr == SR
        assert loudness(torch.from_numpy(y), sr) == pytest.approx(test.level, abs=0.1)
    encoded = re.findall(r'src="(data:audio[^"]*)"', page)
    assert len({*encoded}) == len(encoded)  # the hidden reference is not the data of the open one


def test_the_open_reference_is_the_hidden_one_and_the_anchor_is_low_passed(tmp_path: Path) -> None:
    test, page = exported(tmp_path, reference="original")
    sounds, trial = heard(page), test.trials[0]
    by_condition = {condition: name for name, condition in trial["stimuli"].items()}
    hidden, shown = sounds[by_condition["original"]][0], sounds[trial["open"]][0]
    assert np.abs(hidden - shown).max() < 2e-4  # dithers apart
    anchor = sounds[by_condition["anchor 3.5 kHz"]][0]
    power = np.abs(np.fft.rfft(anchor)) ** 2
    hz = np.fft.rfftfreq(len(anchor), 1 / SR)
    assert power[hz > 4500].sum() / power.sum() < 1e-3
    assert test.conditions["anchor 3.5 kHz"]["role"] == "anchor"


def test_the_same_seed_gives_the_same_page_and_another_other_names(tmp_path: Path) -> None:
    sounds = write_sounds(tmp_path / "sounds")
    pages = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        test = export_listening_test(ListeningTestConfig(sounds, seed=seed), tmp_path / name)
        pages.append((test.test, (tmp_path / name / "test.html").read_text()))
    assert pages[0] == pages[1]
    assert pages[0][0] != pages[2][0]


def test_pairs_of_abx_hide_which_is_x(tmp_path: Path) -> None:
    test, page = exported(tmp_path, kind="abx", repeats=10)
    assert len(test.trials) == 3 * 2 * 10
    sounds = heard(page)
    first = 0
    for trial in test.trials:
        (a, b), x = trial["stimuli"], trial["open"]
        nearest = min((a, b), key=lambda name: np.abs(sounds[name][0] - sounds[x][0]).max())
        assert nearest == trial["right"]
        assert trial["stimuli"][nearest] == trial["open_condition"]
        first += nearest == a
    assert 18 <= first <= 42
    against = exported(tmp_path / "r", kind="abx", reference="worst")[0]
    assert len(against.trials) == 2 * 2


def test_a_list_has_items_and_scores(tmp_path: Path) -> None:
    write_sounds(tmp_path / "sounds")
    lines = ["condition,item,score,file"]
    for score, condition in enumerate(CONDITIONS):
        for item in (1, 0):
            lines.append(f"{condition},i{item},{score + 0.5},sounds/{condition}/item-{item}.wav")
    (tmp_path / "list.csv").write_text("\n".join(lines))
    test = export_listening_test(ListeningTestConfig(tmp_path / "list.csv"), tmp_path / "test")
    assert {trial["item"] for trial in test.trials} == {"i0", "i1"}
    assert [each["score"] for each in test.conditions.values()] == [0.5, 1.5, 2.5]


def test_sounds_of_one_folder_are_conditions_as_maximise_writes_them(tmp_path: Path) -> None:
    for i, name in enumerate(("best-setting", "median-setting", "worst-setting")):
        write_audio(tmp_path / f"{name}.wav", sound(i), sr=SR)
    (tmp_path / "report.html").write_text("")
    stimuli = read_stimuli(tmp_path)
    assert [(s.condition, s.item) for s in stimuli] == [
        ("best-setting", "1"),
        ("median-setting", "1"),
        ("worst-setting", "1"),
    ]


def test_results_of_am_grid_are_settings_by_their_rank(tmp_path: Path) -> None:
    for direction in ("maximise", "minimise"):
        for i, name in enumerate(("best", "median", "worst", "real")):
            write_audio(tmp_path / f"{direction}-{name}.wav", sound(i), sr=SR)
    (tmp_path / "am_grid.json").write_text('{"format": "otoscope.papers.am_grid/1"}')
    stimuli = read_stimuli(tmp_path)
    assert [(s.condition, s.item, s.score) for s in stimuli[:4]] == [
        ("best", "maximise", 1.0),
        ("median", "maximise", 2.0),
        ("worst", "maximise", 3.0),
        ("real", "maximise", None),
    ]


def silent(folder: Path) -> None:
    write_audio(folder / "worst" / "item-1.wav", torch.zeros(SR), sr=SR)


def other_rate(folder: Path) -> None:
    write_audio(folder / "worst" / "item-1.wav", sound(1), sr=8000)


def lacking(folder: Path) -> None:
    (folder / "worst" / "item-1.wav").unlink()


def loose(folder: Path) -> None:
    write_audio(folder / "a.wav", sound(1), sr=SR)


def alone(folder: Path) -> None:
    for condition in CONDITIONS[1:]:
        for path in (folder / condition).iterdir():
            path.unlink()


@pytest.mark.parametrize(
    ("change", "settings", "match"),
    [
        (silent, {}, "item-1.wav is silent"),
        (other_rate, {}, "several sample rates.*16000 Hz, item-1.wav 8000 Hz; give .* by sr=8000"),
        (lacking, {}, "condition 'worst' has 1 sounds|has 0 sounds for item"),
        (loose, {}, "a.wav is in no sub-folder"),
        (alone, {}, r"has 1 condition \(original\); a listening test compares two"),
        (None, {"reference": "first"}, "reference is 'first', must be one of"),
        (None, {"anchors": ("none",)}, "anchor is 'none', must be one of"),
        (None, {"anchors": CONDITIONS}, "nothing is compared"),
        (None, {"kind": "mos"}, "kind is 'mos', must be mushra or abx"),
        (None, {"repeats": 0}, "repeats is 0"),
        (None, {"reference": "worst", "anchors": ("worst",)}, "both reference and anchor"),
    ],
)
def test_sounds_that_make_no_test_are_refused(
    change: Callable[[Path], None] | None, settings: dict[str, Any], match: str, tmp_path: Path
) -> None:
    sounds = write_sounds(tmp_path / "sounds")
    if change:
        change(sounds)
    with pytest.raises(ParameterError, match=match):
        export_listening_test(ListeningTestConfig(sounds, **settings), tmp_path / "test")
    assert not (tmp_path / "test").exists()


def test_one_rate_is_made_if_it_is_given(tmp_path: Path) -> None:
    sounds = write_sounds(tmp_path / "sounds")
    other_rate(sounds)
    test = export_listening_test(ListeningTestConfig(sounds, sr=8000.0), tmp_path / "test")
    assert len(test.trials) == 2
    message = "low-passed anchor would be the reference itself; name a condition by anchors="
    config = ListeningTestConfig(sounds, sr=7000.0, reference="original")
    with pytest.raises(ParameterError, match=message):
        export_listening_test(config, tmp_path / "other")


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("file\na.wav\n", "has no column 'condition'"),
        ("condition,file\na,none.wav\n", "line 2: there is no file"),
        ("condition,file\n,a.wav\n", "line 2: condition or file is empty"),
        ("condition,file,score\na,a.wav,nan\n", "line 2: score is 'nan'"),
        ("condition,file\na,a.wav\na,a.wav\n", "1 condition"),
        ("condition,file,item\na,a.wav,1\nb,a.wav,2\n", "condition 'b' has 0 sounds for item '1'"),
    ],
)
def test_lists_that_make_no_test_are_refused(text: str, match: str, tmp_path: Path) -> None:
    write_audio(tmp_path / "a.wav", sound(0), sr=SR)
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(ParameterError, match=match):
        read_stimuli(tmp_path / "list.csv")
