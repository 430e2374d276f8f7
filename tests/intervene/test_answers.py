"""Right answers move with a change as arithmetic says, and answers of a wrong form are refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from otoscope.errors import ParameterError
from otoscope.intervene import Crop, Gain, LeadingSilence, Pitch, Reverb, Tempo
from otoscope.intervene.answers import (
    answer_from_text,
    answer_to_text,
    as_answer,
    checked_answer,
    common_duration,
    cut_answer,
    key_name,
    moved_answer,
    moves_of,
)


@pytest.mark.parametrize(
    ("change", "moves"),
    [
        (Pitch(100), ("transposed", "same", "same", "transposed")),
        (Tempo(6), ("scaled", "scaled", "scaled", "same")),
        (LeadingSilence(0.5), ("shifted", "shifted", "same", "same")),
        (Crop(0.5), ("shifted", "shifted", "same", "same")),
        (Reverb(0.3), ("same",) * 4),
        (Gain(6), ("same",) * 4),
    ],
)
def test_each_kind_follows_the_changes_that_concern_it(change: Any, moves: tuple[str, ...]) -> None:
    assert tuple(moves_of(kind, change) for kind in ("pitch", "beats", "tempo", "key")) == moves


def test_a_function_is_kept_and_an_unknown_kind_is_refused() -> None:
    def moved(answer: Any, change: Any) -> Any:
        return answer

    assert moves_of("beats", Gain(6, moves=moved)) is moved
    with pytest.raises(ParameterError, match="answers is 'chords', must be one of pitch, beats"):
        moves_of("chords", Gain(6))  # type: ignore[arg-type]


def test_a_chain_moves_answers_in_one_way_or_is_refused() -> None:
    later = LeadingSilence(0.5) | Gain(6)
    assert moves_of("beats", later) == "shifted"
    assert moved_answer([1.0], replace(later, moves="shifted")).tolist() == [1.5]
    assert (LeadingSilence(0.5) | Crop(0.2)).time_shift == pytest.approx(0.3)
    assert (LeadingSilence(0.5) | Tempo(25)).time_shift == pytest.approx(0.4)
    assert (Tempo(25) | LeadingSilence(0.5)).time_shift == 0.5
    assert (Gain(6) | Tempo(25)).time_shift is None
    for both in (Pitch(100) | Tempo(25), Tempo(25) | LeadingSilence(0.5)):
        with pytest.raises(ParameterError, match=r"pitch answer is .* and .*; moves must be"):
            moves_of("pitch", both)
    assert moves_of("tempo", Pitch(100) | Tempo(25)) == "scaled"


def test_times_shift_with_the_beginning() -> None:
    later = LeadingSilence(0.5, moves="shifted")
    assert moved_answer([0.0, 1.0], later).tolist() == [0.5, 1.5]
    assert moved_answer(120.0, later) == 120  # a tempo has no time
    earlier = Crop(0.5, moves="shifted")
    assert moved_answer([0.2, 0.5, 1.0], earlier).tolist() == [0, 0.5]
    times, hz = moved_answer(([0.0, 0.75], [100.0, 200.0]), earlier)
    assert (times.tolist(), hz.tolist()) == ([0.25], [200.0])
    assert common_duration(earlier, 4.0) == 3.5  # the last 0.5 s are not in the unchanged item
    assert common_duration(later, 4.0) == 4.0
    assert common_duration(Tempo(25), 4.0) == pytest.approx(3.2)
    assert common_duration(Tempo(-20), 4.0) == 4.0
    assert common_duration(Crop(0.0), 4.0) == 4.0
    with pytest.raises(ParameterError, match=r"gain \+6 dB changes no beginning"):
        moved_answer([1.0], Gain(6, moves="shifted"))
    with pytest.raises(ParameterError, match="'C major' is a text, which cannot be shifted"):
        moved_answer("C major", later)


def test_ratings_and_embeddings_are_neither_cut_nor_moved() -> None:
    ratings, embedding = {"overall": 4.5}, np.full((1, 3), 9.0)
    assert cut_answer(ratings, 1.0) is ratings
    assert cut_answer(embedding, 1.0) is embedding
    assert moved_answer(ratings, Tempo(6)) is ratings
    for answer in (ratings, embedding):
        with pytest.raises(ParameterError, match="ratings and embeddings cannot be scaled"):
            moved_answer(answer, Tempo(6, moves="scaled"))


@pytest.mark.parametrize(
    ("kind", "answer", "match"),
    [
        ("pitch", 440.0, r"the answer is 440\.0, must be a pair of finite arrays"),
        ("pitch", ([0.0, 1.0], [100.0]), "must be a pair of finite arrays of one length"),
        ("pitch", (np.zeros(2), np.array([1.0, np.nan])), "with NaN or infinite values"),
        ("pitch", (np.zeros(1), np.array([-100.0])), "must be a pair"),
        ("beats", np.array([0.5, np.inf]), "with NaN or infinite values, must be an array"),
        ("beats", np.zeros((2, 2)), r"an array of shape \(2, 2\), must be an array of finite"),
        ("beats", ["one", "two"], r"\['one', 'two'\], must be an array of finite times"),
        ("tempo", float("nan"), "the answer is nan, must be a finite number"),
        ("tempo", [120.0, 60.0], r"\[120\.0, 60\.0\], must be a finite number"),
        ("tempo", None, "the answer is None"),
        ("key", 3, "the answer is 3, must be a text that begins with a note"),
        ("key", "banana", "'banana', must be a text that begins with a note"),
        ("key", "A dorian", "'A dorian', must be .* in major or minor, as 'C# minor'"),
    ],
)
def test_answers_of_a_wrong_form_are_named(kind: Any, answer: Any, match: str) -> None:
    with pytest.raises(ParameterError, match=match):
        checked_answer(kind, answer)


def test_answers_of_the_right_form_are_taken() -> None:
    times, hz = checked_answer("pitch", as_answer((torch.arange(2), torch.tensor([0.0, 110.0]))))
    assert (times.tolist(), hz.tolist()) == ([0, 1], [0, 110])
    times, hz = checked_answer("pitch", ([1.0, 0.5], [100.0, 200.0]))
    assert (times.tolist(), hz.tolist()) == ([0.5, 1], [200, 100])
    assert checked_answer("beats", [2.0, 1.0]).tolist() == [1, 2]
    assert checked_answer("tempo", np.float32(120)) == 120
    keys = ("Ebm", "c:maj", "F#", "Cb minor", "A♭ Major", "C:M", "C:min")
    assert [key_name(checked_answer("key", key)) for key in keys] == [
        "Eb minor",
        "C major",
        "F# major",
        "B minor",
        "Ab major",
        "C major",
        "C minor",
    ]


@pytest.mark.parametrize(
    "answer",
    [
        "C major",
        120.0,
        3,
        np.array([0.1, 1 / 3]),
        np.array([]),
        (np.array([0.0, 0.02]), np.array([0.0, 440.1])),
        {"overall": 3.25},
        np.array([[0.1, 0.2]]),
    ],
)
def test_answers_come_back_from_records_bit_by_bit(answer: Any) -> None:
    back = answer_from_text(answer_to_text(answer))
    assert type(back) is type(answer)
    for one, other in zip(
        answer if isinstance(answer, tuple) else [answer],
        back if isinstance(back, tuple) else [back],
        strict=True,
    ):
        np.testing.assert_equal(other, one)


def test_an_answer_without_a_form_is_not_kept() -> None:
    with pytest.raises(ParameterError, match="no records hold; they hold texts, numbers, arrays"):
        answer_to_text(object())
