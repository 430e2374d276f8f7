"""What a user can ask wrongly of an interrogation, and is told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.intervene import (
    Crop,
    FeatureDilation,
    Gain,
    Interrogation,
    InterrogationSettings,
    Intervention,
    WhiteNoise,
)
from otoscope.protocols.listening import PADDED
from tests.support.loudness import AMPLITUDES, FAST, LABELS, SR, by_peak, loudness, silent, steady

F1: Any = "f1"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": ["soft"] * 12}, "all 12 items are of class 'soft'"),
        ({"labels": ["soft"] * 11 + ["loud"]}, "have one item.*'loud'"),
        ({"labels": ["soft"]}, "labels has 1 entries for 12 items"),
        ({"groups": ["one"] * 12}, "12 items in 1 group"),
        ({"groups": ["one"]}, "groups has 1 entries for 12 items"),
        ({"predict": 3}, "predict is int, must be a model or a function"),
        ({"audio": []}, "audio is empty"),
        ({"audio": "song.wav"}, "audio is 'song.wav', must be a list"),
        (
            {"audio": [3.0] * 12, "settings": InterrogationSettings()},
            "item 0 is float; give a file",
        ),
        ({"settings": InterrogationSettings(sr=SR, metric=F1)}, "metric is 'f1'"),
        ({"settings": InterrogationSettings(sr=SR, n_draws=3)}, "n_draws is 3"),
        (
            {"settings": InterrogationSettings(sr=SR, classes=("loud", "quiet"))},
            r"label 'soft' is none of the system's answers \(loud, quiet\)",
        ),
    ],
)
def test_a_wrong_interrogation_is_refused(change: dict[str, Any], message: str) -> None:
    given = {"predict": by_peak, "audio": steady(AMPLITUDES), "labels": LABELS, "settings": FAST}
    with pytest.raises(ParameterError, match=message):
        Interrogation(**{**given, **change})


def test_the_shortest_sound_is_named_where_the_model_takes_longer_ones() -> None:
    """All sounds are cut to the shortest, so that the first to fail is a long one."""

    def predict(sounds: Tensor) -> Tensor:
        raise ParameterError(f"the sound lasts {sounds.shape[1] / SR:g} s", advice=PADDED)

    sounds = {f"{i}.wav": (torch.ones(SR if i else 40) * (i + 1) / 9, SR) for i in (3, 0, 1, 2)}
    asking = Interrogation(predict, sounds, ["a", "a", "b", "b"], settings=FAST)
    with pytest.raises(ParameterError) as caught:
        asking.run([Gain(6)])
    begin = "all sounds are cut to the length of the shortest, 0.wav: 3.wav: the sound lasts 0."
    assert str(caught.value).startswith(begin), str(caught.value)


@pytest.mark.parametrize(
    ("interventions", "asked", "message"),
    [
        ([], {}, "interventions is empty"),
        ([Gain(6)], {"doses": {"gain": [90]}}, r"gain: db is 90, must be 0 \(off\) or in"),
        ([Gain(6)], {"doses": {"tempo": [1]}}, "doses names 'tempo'; there are gain"),
        ([Gain(6)], {"doses": {"gain": [0]}}, "gain: every dose is 0"),
        ([Gain(6), Gain(3)], {}, "'gain' is named twice"),
        ([FeatureDilation(4, available=(0, 4))], {}, "does not act on these items"),
        ([Gain(6)], {"search": ["more"]}, "search names 'more'"),
        ([Gain(6)], {"budget": -1}, "budget is -1"),
        ([Gain(6, label_preserving=False)], {"budget": 1}, "budget is 1: only sounds"),
        ([Crop(0.5)], {}, "item 0 has 0.5 s, of which these changes leave nothing"),
        ([WhiteNoise(20)], {}, "item 3: .*silent"),
    ],
)
def test_a_wrong_question_is_refused(
    interventions: list[Intervention], asked: dict[str, Any], message: str
) -> None:
    interrogation = Interrogation(by_peak, silent([3]), LABELS, settings=FAST)
    with pytest.raises(ParameterError, match=message):
        interrogation.run(interventions, **asked)


def test_one_change_alone_must_stand_in_a_list() -> None:
    interrogation = Interrogation(by_peak, silent([]), LABELS, settings=FAST)
    alone: Any = Gain(6)
    with pytest.raises(ParameterError, match=r"interventions is gain \+6 dB, must be a list"):
        interrogation.run(alone)


def test_an_item_that_is_too_short_is_named_before_anything_is_asked() -> None:
    def never(sounds: Tensor) -> list[str]:
        raise AssertionError("asked")

    audio = [(y, SR) for y in steady(AMPLITUDES)]
    audio[4] = (audio[4][0][:30], SR)
    asked = InterrogationSettings(sr=SR, duration=0.4)
    interrogation = Interrogation(never, audio, LABELS, settings=asked)
    message = "item 4 has 0.375 s, duration is 0.4 s: with these changes analyse at most 0.375 s"
    with pytest.raises(ParameterError, match=message):
        interrogation.run([Gain(6)])


def test_a_sound_that_is_not_finite_is_named() -> None:
    audio = [(y.clone(), SR) for y in steady(AMPLITUDES)]
    audio[2][0][7] = float("nan")
    with pytest.raises(ParameterError, match="item 2: 1 of 40 samples are NaN"):
        Interrogation(by_peak, audio, LABELS, settings=FAST).run([Gain(6)])
    features = torch.zeros(4, 2, 3)
    features[1, 0, 2] = float("inf")
    with pytest.raises(ParameterError, match="1 items are NaN or infinite; the first is item 1"):
        Interrogation(by_peak, features, ["a", "b"] * 2)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (
            lambda x: ["loud"] * (len(x) - (len(x) > 2)),
            "item 0: predict returned 2 answers to 3 items",
        ),
        (lambda x: ["quiet"] * len(x), "item 0: predict answered 'quiet', which is not among"),
        (lambda x: torch.zeros(len(x), 3), "item 0: predict returned scores of shape"),
    ],
)
def test_wrong_answers_name_the_item(answer: Callable[[Tensor], Any], message: str) -> None:
    interrogation = Interrogation(answer, steady(AMPLITUDES), LABELS, settings=FAST)
    with pytest.raises(ParameterError, match=message):
        interrogation.run([Gain(6)], doses={"gain": [1, 2]})


def test_a_cache_that_cannot_be_written_is_warned_of_once(tmp_path: Path) -> None:
    place = tmp_path / "file"
    place.write_text("")
    with pytest.raises(ParameterError, match="is a file, must be a folder"):
        loudness(cache=place)
    with pytest.warns(RuntimeWarning, match="cannot be written") as warned:
        result = loudness(cache=place / "below").run([Gain(6)])
    assert len(warned) == 1
    assert result.curves == loudness().run([Gain(6)]).curves


def test_a_rate_that_the_system_does_not_hear_is_refused() -> None:
    def predict(sounds: Tensor) -> list[str]:
        return ["a"] * len(sounds)

    vars(predict)["sample_rate"] = 16000
    sounds = [(torch.ones(40), 8000)] * 4
    with pytest.raises(ParameterError, match="sr is 8000 Hz, and the system hears 16000 Hz"):
        Interrogation(predict, sounds, ["a", "b"] * 2, settings=InterrogationSettings(sr=8000))
    same = InterrogationSettings(sr=16000)
    assert Interrogation(predict, sounds, ["a", "b"] * 2, settings=same).items.sr == 16000  # type: ignore[union-attr]
