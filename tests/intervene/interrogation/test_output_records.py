"""Outputs are logged and renderings cached; errors of systems and answers are one message."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from otoscope.errors import MissingExtra, ParameterError
from otoscope.intervene import Gain, InterrogationSettings, Pitch, Tempo, interrogate_outputs
from tests.support.zoo import without

SR = 8000
SETTINGS = InterrogationSettings(sr=SR, n_draws=200)
SHIFT = Pitch(100, moves="transposed")


def tones(n: int) -> dict[str, tuple[Tensor, int]]:
    time = torch.arange(SR) / SR
    return {f"{hz} Hz": (torch.sin(2 * torch.pi * hz * time), SR) for hz in range(220, 220 + n)}


def contours(sounds: Tensor) -> list[Any]:
    """The pitch of each tone, as a contour."""
    spectra = torch.fft.rfft(sounds * torch.hann_window(sounds.shape[1]), n=1 << 16).abs()
    times = np.arange(0, sounds.shape[1] / SR, 0.02)
    return [(times, np.full(len(times), hz)) for hz in (spectra.argmax(1) * SR / 65536).tolist()]


def silenced(sounds: Tensor) -> list[Any]:
    raise AssertionError("asked again")


def run(predict: Any, records: Path | None = None, **settings: Any) -> Any:
    given = {"score": "pitch", "interventions": [SHIFT], "sounds": tones(4), **settings}
    return interrogate_outputs(
        predict,
        given["sounds"],
        given.get("references"),
        given["interventions"],
        score=given["score"],
        settings=InterrogationSettings(
            sr=SR, n_draws=200, cache=given.get("cache"), system=given.get("system", "tracker")
        ),
        records=records,
    )


def test_outputs_on_the_disk_are_not_asked_for_again(tmp_path: Path) -> None:
    pytest.importorskip("mir_eval")
    log = tmp_path / "log.jsonl"
    first = run(contours, log)
    assert log.read_text().count('"outputs"') == 4
    again = run(silenced, log)
    assert again.to_dict() == first.to_dict() | {"settings": again.to_dict()["settings"]}
    fixed = run(silenced, log, interventions=[Pitch(100)])  # another claim, the same outputs
    assert first.curves[0].worst.score.value == 1
    assert fixed.curves[0].worst.score.value == 0


def test_a_killed_run_goes_on_where_it_was(tmp_path: Path) -> None:
    pytest.importorskip("mir_eval")
    log, asked = tmp_path / "log.jsonl", []

    def counted(sounds: Tensor) -> list[Any]:
        asked.append(len(sounds))
        return contours(sounds)

    whole = run(counted, log)
    lines = log.read_text().splitlines(keepends=True)
    log.write_text("".join(lines[:3]) + lines[3][:20])  # two items, and a torn line
    n_before = len(asked)
    assert run(counted, log).curves == whole.curves
    assert len(asked) - n_before == 2


def test_records_of_another_system_or_other_sounds_are_refused(tmp_path: Path) -> None:
    pytest.importorskip("mir_eval")
    log = tmp_path / "log.jsonl"
    run(contours, log)
    with pytest.raises(ParameterError, match="holds an interrogation with other system"):
        run(contours, log, system="another")
    with pytest.raises(ParameterError, match="with other items, content"):
        run(contours, log, sounds=tones(5))


def test_renderings_are_cached(tmp_path: Path) -> None:
    pytest.importorskip("mir_eval")
    uncached = run(contours)
    assert run(contours, cache=tmp_path / "cache").curves == uncached.curves
    assert any((tmp_path / "cache").iterdir())
    assert run(contours, cache=tmp_path / "cache").curves == uncached.curves


@pytest.mark.parametrize(
    ("answer", "score", "match"),
    [
        (float("nan"), "tempo", "220 Hz: the output cannot be scored: the answer is nan, must be"),
        (np.zeros(3), "tempo", r"an array of shape \(3,\), must be a finite number"),
        (np.array([np.nan]), "beats", "with NaN or infinite values, must be an array of finite"),
        ("loud", "pitch", "the answer is 'loud', must be a pair of finite arrays"),
        ((np.zeros(2), np.zeros(3)), "pitch", "must be a pair of finite arrays of one length"),
    ],
)
def test_answers_of_a_wrong_kind_are_named_with_their_sound(
    answer: Any, score: str, match: str
) -> None:
    if score != "tempo":
        pytest.importorskip("mir_eval")
    with pytest.raises(ParameterError, match=match):
        run(lambda sounds: [answer] * len(sounds), score=score, interventions=[Gain(3)])


def test_wrong_references_are_named_before_anything_is_asked() -> None:
    with pytest.raises(ParameterError, match="221 Hz: the reference cannot be scored: the answer"):
        run(silenced, score="tempo", references=[120.0, -1.0, 120.0, 120.0])


def test_an_error_of_the_system_is_one_message() -> None:
    def broken(sounds: Tensor) -> list[Any]:
        raise ValueError("no beats")

    with pytest.raises(ParameterError, match="and raised ValueError: no beats"):
        run(broken, score="tempo", interventions=[Gain(3)])


@pytest.mark.parametrize("score", ["beats", "pitch", "key"])
def test_without_mir_eval_the_extra_is_named(score: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("mir_eval", "mir_eval.beat", "mir_eval.melody", "mir_eval.key"):
        without(monkeypatch, module)
    with pytest.raises(MissingExtra, match=r"otoscope\[mir\]"):
        run(silenced, score=score)


def test_answers_without_beats_are_equal_to_each_other_alone() -> None:
    pytest.importorskip("mir_eval")
    silent = run(lambda sounds: [[]] * len(sounds), score="beats", interventions=[Gain(3)])
    assert silent.curves[0].worst.score.value == 1
    louder = run(
        lambda sounds: [[0.5] if y.abs().max() > 1.1 else [] for y in sounds],
        score="beats",
        interventions=[Gain(3)],
    )
    assert louder.curves[0].worst.score.value == 0


@pytest.mark.parametrize(("follows", "kind"), [(True, "cleared"), (False, "horse")])
def test_a_tracker_of_beats_must_follow_the_tempo(follows: bool, kind: str) -> None:
    """Clicks every half second; the deaf tracker answers with their times whatever it hears."""
    pytest.importorskip("mir_eval")
    beats = np.arange(0.2, 2.6, 0.5)
    sounds = {}
    for item in range(60):
        y = torch.zeros(3 * SR)
        for beat in beats:
            y[round(beat * SR) : round(beat * SR) + 40] = 0.5 + item / 200
        sounds[f"clicks {item}"] = (y, SR)

    def heard(batch: Tensor) -> list[Any]:
        found = []
        for y in batch:
            frames = y.unfold(0, 80, 80).abs().amax(1)  # of 10 ms
            onsets = (frames[1:] > 0.2) & (frames[:-1] < 0.2)
            found.append((torch.nonzero(onsets)[:, 0] + 1).numpy() / 100)
        return found

    def deaf(batch: Tensor) -> list[Any]:
        return [beats[beats < batch.shape[1] / SR]] * len(batch)

    result = interrogate_outputs(
        heard if follows else deaf,
        sounds,
        [beats] * 60,
        [Tempo(20, moves="scaled")],
        score="beats",
        settings=SETTINGS,
    )
    assert result.baseline.value > 0.99
    assert result.verdict.kind == kind
