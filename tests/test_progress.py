"""Progress: True shows bars, a callback sees every item, and results do not depend on either."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from otoscope.attack import MagnitudeAdversary, WaveformPGD, evaluate
from otoscope.errors import ParameterError
from otoscope.explain import ActivationMaximiser, FourierPrior, SoundLIME
from otoscope.intervene import Gain, Interrogation, Polarity
from otoscope.metrics import frechet_infinity, frechet_interval
from otoscope.progress import Progress, silent, tracked
from tests.support.progress import recording

PATCHES = torch.rand(5, 8, 3, generator=torch.Generator().manual_seed(0))
ROWS = torch.rand(30, 2, generator=torch.Generator().manual_seed(1))
NET = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
CLASSES = nn.Linear(1216, 2)


def explain(net: Any, progress: Progress) -> Tensor:
    lime = SoundLIME(net, segments="temporal:4", content=0.0, target=0)
    return torch.stack([e.coefficients for e in lime.explain(list(PATCHES), progress=progress)])


def plain(progress: Progress) -> Tensor:
    return explain(lambda batch: batch.mean((1, 2, 3)), progress)


def shared(progress: Progress) -> Tensor:
    return explain(NET, progress)


def attack(progress: Progress) -> Tensor:
    return WaveformPGD(CLASSES, steps=3).run(torch.ones(2, 1216) / 2, progress=progress).sound


def published(progress: Progress) -> Tensor:
    adversary = MagnitudeAdversary(CLASSES, steps=3, faithful=True, n_fft=64, hop_length=32)
    return adversary.run(torch.ones(1, 1216) / 2, progress=progress).sound


def maximise(progress: Progress) -> Tensor:
    maximiser = ActivationMaximiser(NET, FourierPrior((1, 8, 4)), layer="0", unit=0)
    return maximiser.run(iterations=3, seeds=9, progress=progress).activation


def interrogate(progress: Progress) -> Tensor:
    sounds = [(torch.ones(80) * (0.6 if i % 2 else 0.4), 80) for i in range(12)]
    asked = Interrogation(lambda ys: ["b" if y.max() > 0.5 else "a" for y in ys], sounds)
    result = asked.run([Gain(6), Polarity()], progress=progress)
    return torch.tensor([point.score.value for _, point in result.label_preserving_points])


def interval(progress: Progress) -> Tensor:
    return torch.tensor(frechet_interval(ROWS, ROWS + 1, resamples=20, progress=progress).low)


def infinity(progress: Progress) -> Tensor:
    return torch.tensor(frechet_infinity(ROWS, ROWS + 1, points=3, progress=progress).value)


WORK: dict[Callable[[Progress], Tensor], set[str]] = {
    plain: {"excerpts", "batches"},
    shared: {"excerpts", "operations"},
    attack: {"steps"},
    published: {"steps"},
    maximise: {"rows", "iterations"},
    interrogate: {"reading"},
    interval: {"half samples"},
    infinity: {"sizes"},
}


@pytest.mark.parametrize("work", WORK, ids=lambda work: work.__name__)
def test_bars_and_callbacks_see_the_work_and_change_no_result(
    work: Callable[[Progress], Tensor], capfd: pytest.CaptureFixture[str]
) -> None:
    seen: list[object] = []
    results = [work(progress) for progress in (False, silent)]
    assert capfd.readouterr() == ("", "")
    results += [work(recording(seen)), work(True)]
    assert all(torch.equal(result, results[0]) for result in results)
    assert {item for item in seen if isinstance(item, str)} >= WORK[work]
    out, err = capfd.readouterr()
    assert out == ""
    assert WORK[work] <= {name for name in WORK[work] if f"{name}:" in err}


def test_evaluate_shows_its_sounds(tmp_path: Any) -> None:
    attack = WaveformPGD(CLASSES, sr=8000, steps=1)
    seen: list[object] = []
    paths = [tmp_path / "a.wav", tmp_path / "b.wav"]
    evaluate(
        attack.run(torch.ones(2, 1216) / 2), attack, paths, cutoffs_hz=(), progress=recording(seen)
    )
    assert seen == ["sounds", *paths]


@pytest.mark.parametrize("progress", ["yes", 1, None])
def test_what_is_no_progress_is_refused(progress: Any) -> None:
    with pytest.raises(ParameterError, match=r"progress is .*, must be True, False or a function"):
        tracked(progress, range(3), "steps")


def test_a_single_item_has_no_bar(capfd: pytest.CaptureFixture[str]) -> None:
    assert list(tracked(True, [7], "steps")) == [7]
    assert list(tracked(True, [], "steps")) == []
    assert capfd.readouterr() == ("", "")
