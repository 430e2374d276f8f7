"""Mixes of stems: what is replaced is known, and stems that do not fit are refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from otoscope.errors import ParameterError
from otoscope.explain import segments
from otoscope.explain.selection import draw_mixes, replace_segments
from otoscope.protocols import Patch
from tests.support.tones import SR, detector, stems


def test_replaced_segments_hold_the_voice_bit_for_bit_and_no_others() -> None:
    voice, backing = stems()
    model = detector()
    mixes = draw_mixes(model, voice, backing, n_positions=2, n_mixes=3, skip=10, seed=4)
    assert [mix.position for mix in mixes] == [0, 0, 0, 1, 1, 1]
    for mix in mixes:
        start = mix.patch.start - model.front_end.first_sample / SR
        parts = [model.patch((y, SR), start=start) for y in (voice, backing)]
        assert len(mix.truth) == 3
        for block in range(10):
            place = slice(5 * block, 5 * block + 5)
            source = parts[0 if block in mix.truth else 1]
            assert torch.equal(mix.patch.values[place], source.values[place])
            samples = slice(400 * block, 400 * block + 400)
            assert mix.patch.y is not None
            assert source.y is not None
            assert torch.equal(mix.patch.y[samples], source.y[samples])


def test_positions_and_segments_depend_on_the_seed_alone() -> None:
    voice, backing = stems()
    runs = [
        [mix.truth for mix in draw_mixes(detector(), voice, backing, skip=10, seed=seed)]
        for seed in (1, 1, 2)
    ]
    assert runs[0] == runs[1] != runs[2]


def test_a_pause_of_the_singer_is_no_voice() -> None:
    voice, backing = stems()
    voice[: len(voice) // 2] = 0
    mixes = draw_mixes(detector(), voice, backing, n_positions=4, skip=10)
    for mix in mixes:
        for block, is_voiced in zip(mix.truth, mix.voiced, strict=True):
            end = (mix.patch.start + (block + 1) * 0.05) * SR
            assert is_voiced == (end > len(voice) / 2 + 80) or abs(end - len(voice) / 2) <= 80
        assert mix.is_voiced == all(mix.voiced)


def test_stems_of_different_lengths_are_refused() -> None:
    voice, backing = stems()
    with pytest.raises(ParameterError, match=r"voice of a song has shape \(15999,\), its backing"):
        draw_mixes(detector(), voice[1:], backing, song="a song")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"skip": 200}, "lasts 2.00 s, too short .* 200 frames"),
        ({"skip": 10, "n_replaced": 10}, "n_replaced is 10 of 10 segments"),
        ({"n_mixes": 0}, "n_mixes 0"),
    ],
)
def test_what_does_not_fit_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        draw_mixes(detector(), *stems(), **settings)


def test_segments_in_frequency_have_no_sound() -> None:
    quiet, loud = (
        Patch(torch.full((4, 2), v), y=torch.zeros(40), sr=10, hop_length=10, layout="frame mel")
        for v in (0.0, 1.0)
    )
    mixed = replace_segments(quiet, loud, segments.spectral(2)(quiet), [1])
    assert mixed.values.tolist() == [[0.0, 1.0]] * 4
    assert mixed.y is None


def test_excerpts_of_different_lengths_are_refused() -> None:
    quiet, loud = (Patch(torch.zeros(n, 2), layout="frame mel") for n in (4, 5))
    with pytest.raises(ParameterError, match=r"backing has shape \(4, 2\), voice \(5, 2\)"):
        replace_segments(quiet, loud, segments.temporal(2)(quiet), [0])
    with pytest.raises(ParameterError, match=r"replaced has \[2\]; there are segments 0\.\.1"):
        replace_segments(quiet, quiet, segments.temporal(2)(quiet), [2])
