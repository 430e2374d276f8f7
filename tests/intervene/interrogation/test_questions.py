"""How questions are asked: by several processes, in batches, with progress, clear errors."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.intervene import Gain, Interrogation, InterrogationSettings, WhiteNoise
from otoscope.intervene.base import RenderInput
from otoscope.intervene.interrogation.items import as_items
from otoscope.signal.audio.files import write_audio
from tests.support.loudness import (
    AMPLITUDES,
    FAMILY,
    FAST,
    LABELS,
    SR,
    Shift,
    by_peak,
    loudness,
    silent,
    steady,
    without_settings,
)


def test_workers_batches_and_files_change_nothing(tmp_path: Path) -> None:
    audio: list[Any] = [(y, SR) for y in steady(AMPLITUDES)]
    for index in range(0, 12, 3):
        path = tmp_path / f"{index}.wav"
        write_audio(path, audio[index][0], sr=SR, subtype="FLOAT")
        audio[index] = path

    def run(**asked: Any) -> dict[str, Any]:
        asked = {"sr": SR, "n_draws": 50, **asked}
        interrogation = Interrogation(
            by_peak, audio, LABELS, settings=InterrogationSettings(**asked)
        )
        return without_settings(interrogation.run(FAMILY, budget=3))

    alone = run()
    assert run(workers=2) == alone
    assert run(max_batch=1, cache=tmp_path / "cache") == alone


@pytest.mark.slow  # processes start three times
def test_errors_of_workers_are_one_clear_line() -> None:
    asked = InterrogationSettings(workers=2, n_draws=50)
    interrogation = Interrogation(by_peak, silent([5]), LABELS, settings=asked)
    with pytest.raises(ParameterError, match=r"^item 5: .*silent"):
        interrogation.run([WhiteNoise(20)])

    def broken(sounds: Tensor) -> list[str]:
        return ["quiet"] * len(sounds)

    with pytest.raises(ParameterError, match=r"^item 0: predict answered 'quiet'"):
        Interrogation(broken, silent([]), LABELS, settings=asked).run([Gain(6)])


def test_progress_is_told_of_every_item() -> None:
    counts: dict[str, int] = {}

    def progress(items: Sequence[Any], what: str) -> Iterator[Any]:
        counts[what] = 0
        for item in items:
            yield item
            counts[what] += 1

    loudness().run([Shift(3), Gain(6)], budget=9, progress=progress)
    rounds = ["tries 1 to 8", "tries 9 to 9"]
    assert list(counts) == [
        "reading",
        "items",
        *rounds,
        *(f"placebos of {name}" for name in rounds),
    ]
    assert set(counts.values()) == {12}


def test_no_item_is_rendered_before_those_ahead_of_it_are_answered() -> None:
    """Memory holds the renderings of one item, however many there are."""
    rendered: list[Tensor] = []
    ahead: list[int] = []

    @dataclass(frozen=True)
    class Watched(Gain):
        def _transform(self, source: RenderInput) -> Tensor:
            rendered.append(source.y)
            return super()._transform(source)

    def answers(sounds: Tensor) -> list[str]:
        ahead.append(len(rendered))
        return by_peak(sounds)

    doses = [-3.0, -1.0, 1.0, 3.0]
    Interrogation(answers, steady(AMPLITUDES), LABELS, settings=FAST).run(
        [Watched(3)], doses={"gain": doses}
    )
    assert list(dict.fromkeys(ahead)) == [len(doses) * item for item in range(1, 13)]


def test_one_item_of_many_is_handed_on_without_the_others() -> None:
    rows = torch.zeros(100, 1000)
    sounds = as_items(rows, sr=8000, cache=None)
    assert len(pickle.dumps(sounds.only(3))) < 2 * 4 * 1000
    assert len(pickle.dumps(as_items(rows[:, :, None], sr=None, cache=None).only(3))) < 2 * 4 * 1000
    assert sounds.only(3).names == ("item 3",)
