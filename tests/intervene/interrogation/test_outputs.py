"""Outputs that move with the sound are right; whether the sound is used at all."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.intervene import (
    Gain,
    Interrogation,
    InterrogationSettings,
    NoAudio,
    NoiseInstead,
    OtherItem,
    Pitch,
    Polarity,
    Tempo,
    interrogate_outputs,
)
from otoscope.intervene.answers import cut_answer, moved_answer
from otoscope.report import verdict_text

SR = 8000
PITCHES = [220.0 * 2 ** (i / 12) for i in range(20)] * 3
SETTINGS = InterrogationSettings(sr=SR, n_draws=200)


def sine(hz: float) -> Tensor:
    return 0.5 * torch.sin(2 * torch.pi * hz * torch.arange(SR // 2) / SR)


SOUNDS = {f"{hz:.0f} Hz, {i}": (sine(hz), SR) for i, hz in enumerate(PITCHES)}


def tracker(sounds: Tensor) -> list[float]:
    """The peak of a long spectrum, in Hz."""
    spectra = torch.fft.rfft(sounds * torch.hann_window(sounds.shape[1]), n=1 << 16).abs()
    pitches: list[float] = (spectra.argmax(1) * SR / (1 << 16)).tolist()
    return pitches


def near(right: float, given: float) -> float:
    """Whether a pitch is within 40 cents."""
    return float(abs(1200 * math.log2(max(given, 1.0) / right)) < 40)


@pytest.mark.parametrize(("moves", "kind"), [("transposed", "cleared"), ("same", "horse")])
def test_a_tracker_under_a_pitch_shift_is_right_if_the_answer_moves(moves: Any, kind: str) -> None:
    result = interrogate_outputs(
        tracker, SOUNDS, PITCHES, [Pitch(300, moves=moves)], score=near, settings=SETTINGS
    )
    assert result.baseline.value == 1
    assert result.verdict.kind == kind
    assert result.items[0].name == "220 Hz, 0"
    assert verdict_text(result).sentence.startswith(("no horse found", "a horse"))
    worst = result.curves[0].worst
    assert worst.against_placebo is not None
    assert (worst.score.value == 1) == (kind == "cleared")


def test_without_references_the_unchanged_outputs_are_right() -> None:
    result = interrogate_outputs(
        tracker, SOUNDS, None, [Gain(6), Pitch(300)], score=near, settings=SETTINGS
    )
    assert not result.has_labels
    gain, pitch = result.curves
    assert gain.worst.score.value == 1
    assert pitch.worst.score.value == 0
    assert result.verdict.curves == ("pitch",)


@pytest.mark.parametrize(
    ("key", "cents", "moved"),
    [
        ("C major", 100, "C# major"),
        ("Bb:min", 200, "C:min"),
        ("a minor", -100, "ab minor"),
        ("F#", 1200, "F#"),
        ("Cb major", 100, "C major"),
    ],
)
def test_keys_are_transposed(key: str, cents: float, moved: str) -> None:
    assert moved_answer(key, Pitch(cents, moves="transposed")) == moved


def test_numbers_events_and_contours_move() -> None:
    faster = Tempo(25, moves="scaled")
    assert moved_answer(100, faster) == pytest.approx(125)
    assert moved_answer([1.0, 2.0], faster).tolist() == [0.8, 1.6]
    times, hz = moved_answer(([0.0, 1.0], [100.0, 200.0]), faster)
    assert times.tolist() == [0, 0.8]
    assert hz.tolist() == [100, 200]
    octave = Pitch(1200, moves="transposed")
    assert moved_answer(([0.0], [100.0]), octave)[1].tolist() == [200]
    assert moved_answer(100.0, Pitch(-1200, moves="transposed") | Gain(1)) == 100  # a chain stays
    assert moved_answer(5, Gain(3, moves=lambda answer, change: answer + change.dose)) == 8
    assert cut_answer([0.1, 0.5, 0.9], 0.5).tolist() == [0.1]
    assert cut_answer("C major", 0.5) == "C major"


@pytest.mark.parametrize(
    ("answer", "change", "match"),
    [
        ("C major", Pitch(50, moves="transposed"), "transposed by 0.5 semitones"),
        ("H-Dur", Pitch(100, moves="transposed"), "is no key"),
        ("C major", Tempo(5, moves="scaled"), "cannot be scaled"),
        (100.0, Gain(3, moves="scaled"), "changes no tempo"),
        (100.0, Tempo(3, moves="transposed"), "changes no pitch"),
    ],
)
def test_answers_that_cannot_move_are_refused(answer: Any, change: Any, match: str) -> None:
    with pytest.raises(ParameterError, match=match):
        moved_answer(answer, change)


def test_wrong_settings_are_named() -> None:
    with pytest.raises(ParameterError, match="moves is 'up'"):
        Gain(3, moves="up")  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="score is 'loud', must be one of"):
        interrogate_outputs(tracker, SOUNDS, PITCHES, [Gain(3)], score="loud")
    with pytest.raises(ParameterError, match="the score is 7 at"):
        interrogate_outputs(tracker, SOUNDS, PITCHES, [Gain(3)], score=lambda right, given: 7)
    with pytest.raises(ParameterError, match="references has 2 entries for 60 items"):
        interrogate_outputs(tracker, SOUNDS, [1, 2], [Gain(3)], score="equal")
    labelled = Interrogation(deaf, SOUNDS, ["loud", "soft"] * 30, settings=SETTINGS)
    with pytest.raises(ParameterError, match="moves the right answer, and labels stay"):
        labelled.run([Pitch(100, moves="transposed")])


def test_scores_of_mir_eval_are_those_of_its_tasks() -> None:
    pytest.importorskip("mir_eval")
    from otoscope.intervene.interrogation.outputs import score_function

    beats = np.arange(0.5, 5, 0.5)
    assert score_function("beats")(beats, beats + 0.05) == 1
    assert score_function("beats")(beats, beats + 0.2) == 0
    assert score_function("key")("C major", "C:maj") == 1
    assert score_function("key")("C major", "a minor") == pytest.approx(0.3)  # relative minor
    times = np.arange(0, 1, 0.01)
    pitch = np.full(100, 220.0)
    assert score_function("pitch")((times, pitch), (times, pitch * 1.01)) == 1
    assert score_function("pitch")((times, pitch), (times, pitch * 1.1)) == 0


def by_level(sounds: Tensor) -> list[str]:
    return ["loud" if y.abs().max() > 0.3 else "soft" for y in sounds]


def deaf(sounds: Tensor) -> list[str]:
    return ["loud"] * len(sounds)


@pytest.mark.parametrize(("system", "uses"), [(by_level, True), (deaf, False)])
@pytest.mark.parametrize("workers", [1, 2])
def test_controls_show_whether_the_sound_is_used(system: Any, uses: bool, workers: int) -> None:
    labels = ["loud"] * 30 + ["soft"] * 30
    sounds = [(sine(200 + 5 * i) * (1 if i < 30 else 0.2), SR) for i in range(60)]
    settings = InterrogationSettings(sr=SR, n_draws=200, workers=workers)
    controls = [NoAudio(), NoiseInstead(), OtherItem()]
    result = Interrogation(system, sounds, labels, settings=settings).run([Polarity(), *controls])
    silent, noise, other = result.curves[1:]
    if uses:
        assert silent.points[0].score.value == 0.5  # all are soft
        assert other.points[0].score.value == 0  # each answer is that of the other class
        assert result.verdict.ineffective_controls == (noise.name,)  # of the same level
    else:
        assert {curve.points[0].score.value for curve in result.curves} == {0.5}
        assert result.verdict.ineffective_controls == tuple(control.name for control in controls)
        assert result.verdict.kind == "chance"
    cautions = verdict_text(result).cautions
    n = sum("are not shown to depend on the sound" in caution for caution in cautions)
    assert n == len(result.verdict.ineffective_controls)
