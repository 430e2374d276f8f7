"""Processes render and answer: the same for any number of them, and one may be killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from otoscope.errors import ParameterError, WorkerEnded
from otoscope.intervene import (
    Gain,
    Interrogation,
    InterrogationSettings,
    Tempo,
    WhiteNoise,
    export_sounds,
)
from otoscope.intervene.interrogation.rendering import RenderPool, _pickled
from otoscope.models import Listener
from otoscope.signal import svd2015
from tests.support.loudness import AMPLITUDES, LABELS, SR, by_peak, steady, without_settings

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")


def ended_at(lost: int) -> Any:
    """A `RenderPool.mapped` in this process, with an item whose worker was killed."""

    def mapped(_: Any, items: Any, n: int, *, here: Any, sent: Any) -> Iterator[Any]:
        for item in items:
            if item == lost:
                yield ended()
            else:
                yield iter(here(item))

    def ended() -> Iterator[Any]:
        raise WorkerEnded("the process was ended (signal 9)")
        yield

    return mapped


def test_the_item_of_a_killed_worker_is_left_out_and_asked_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    """The others have the seeds that they have with all items, in every round."""
    audio: Any = [(y, SR) for y in steady(AMPLITUDES)]
    settings = InterrogationSettings(n_draws=50, seed=3)
    asked: dict[str, Any] = {"budget": 4, "search": ("any",)}
    family = [WhiteNoise(20), Gain(6)]
    interrogation = Interrogation(
        by_peak, audio, LABELS, groups=list("abcdefghijkl"), settings=settings
    )
    whole = interrogation.run(family, **asked)
    records = tmp_path / "answers.jsonl"
    with monkeypatch.context() as patched:
        patched.setattr(RenderPool, "mapped", ended_at(2))
        part = interrogation.run(family, records=records, **asked)
    assert {name: str(reason) for name, reason in part.skipped.items()} == {
        "item 2": "the process was ended (signal 9)"
    }
    assert part.items == whole.items[:2] + whole.items[3:]
    assert part.verdict.n_groups == 11
    seeds = {flip.name: (flip.seed, flip.intervention) for flip in whole.pairs}
    assert {
        flip.name: (flip.seed, flip.intervention) for flip in part.pairs
    }.items() <= seeds.items()
    for flip in part.pairs:
        assert flip.name == f"item {flip.item + (flip.item >= 2)}"
        before, after, _ = part.render_pair(flip)  # type: ignore[misc]
        assert (by_peak(before[None]), by_peak(after[None])) == ([flip.before], [flip.after])
    again = interrogation.run(family, records=records, **asked)
    assert not again.skipped
    assert without_settings(again) == without_settings(whole)


def test_a_class_that_is_lost_and_an_export_are_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    audio: Any = [(y, SR) for y in steady([0.4, 0.4, 0.8, 0.8])]
    labels = ["soft", "soft", "loud", "loud"]
    monkeypatch.setattr(RenderPool, "mapped", ended_at(3))
    settings = InterrogationSettings(n_draws=50)
    with pytest.raises(ParameterError, match=r"1 of 4 sound files are skipped, and"):
        Interrogation(by_peak, audio, labels, settings=settings).run([Gain(6)])
    audio, labels = audio * 2, labels * 2
    with pytest.raises(ParameterError, match="item 3: the process was ended"):
        export_sounds(
            Interrogation(by_peak, audio, labels, settings=settings), tmp_path / "out", [Gain(6)]
        )
    assert not (tmp_path / "out").exists()


class Deadly(Gain):
    """A gain that kills the process that it is applied in, unless it is the parent's."""

    def render(self, y: Tensor, *args: Any, **options: Any) -> Tensor:
        """Render, or end."""
        if self.dose and y.abs().max() > 0.75 and os.environ.get("PARENT_ID") != str(os.getpid()):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().render(y, *args, **options)


def test_functions_are_sent_with_their_code() -> None:
    offset = 1.0
    program = "import pickle, sys; print(pickle.load(sys.stdin.buffer)(2.0))"
    command = [sys.executable, "-c", program]
    sent = _pickled(lambda dose: dose + offset)
    done = subprocess.run(command, input=sent, capture_output=True, check=True)
    assert done.stdout.split() == [b"3.0"]


def listener() -> Listener:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(115 * 80, 1), nn.Sigmoid())
    zeros, ones = torch.zeros(80), torch.ones(80)
    return Listener(
        net, svd2015(), mean=zeros, std=ones, patch_frames=115, output_names=["up"]
    ).eval()


@POSIX
@pytest.mark.slow  # processes that import torch
def test_a_model_answers_the_same_in_any_number_of_workers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    generator = torch.Generator().manual_seed(0)
    sounds: Any = [(0.1 * torch.randn(50000, generator=generator), 22050) for _ in range(6)]
    results = []
    for workers in (1, 2, 3):
        settings = InterrogationSettings(n_draws=50, workers=workers)
        interrogation = Interrogation(listener(), sounds, settings=settings)
        if workers == 3:  # no answer is asked of the model here
            monkeypatch.setattr(type(interrogation._labeller), "label_item", None)
        results.append(without_settings(interrogation.run([WhiteNoise(5), Tempo(4)], budget=3)))
    assert results[0] == results[1] == results[2]


@POSIX
@pytest.mark.slow  # processes that import torch
def test_a_killed_worker_is_named_and_the_rest_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARENT_ID", str(os.getpid()))
    audio: Any = [(y, SR) for y in steady([0.4, 0.5, 0.8, 0.6, 0.45, 0.65])]
    labels = by_peak(torch.stack([y for y, _ in audio]))
    settings = InterrogationSettings(n_draws=50, workers=2)
    result = Interrogation(by_peak, audio, labels, settings=settings).run([Deadly(2)])
    assert list(result.skipped) == ["item 2"]
    assert "(signal 9)" in str(result.skipped["item 2"])
    assert [item.name for item in result.items] == [f"item {i}" for i in (0, 1, 3, 4, 5)]
