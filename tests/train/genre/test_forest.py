"""The forest on activations: features by NumPy, known answers, and an attack without gradient."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.ensemble import RandomForestClassifier
from torch import Tensor

from otoscope.attack import WaveformPGD
from otoscope.attack.strong import Square
from otoscope.errors import ParameterError
from otoscope.models import Listener
from otoscope.models.genre import ConvDNN, FrameDNN
from otoscope.signal import magnitude_spectrum
from otoscope.train.genre import GenreForest, Spectra, fit_forest

SR = 8000
FRONT_END = magnitude_spectrum(sample_rate=SR, n_fft=256, hop_length=128)
MODEL = Listener(
    FrameDNN(2, n_bins=129, hidden=6),
    FRONT_END,
    mean=torch.full((129,), 0.3),
    std=torch.full((129,), 0.7),
    patch_frames=100,
    output_names=["high", "low"],
).eval()


def tone(hz: float, seed: int, seconds: float = 2.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    time = torch.arange(round(seconds * SR)) / SR
    noise = 0.05 * torch.randn(len(time), generator=generator)
    return 0.3 * torch.sin(2 * torch.pi * hz * time) + noise


def spectra(n: int = 6) -> Spectra:
    sounds = [tone(hz + 20 * i, i) for i in range(n) for hz in (2500.0, 400.0)]
    parts = [FRONT_END.mel(y) for y in sounds]
    first = torch.tensor([0, *map(len, parts)]).cumsum(0)
    return Spectra(torch.cat(parts), first, torch.tensor([0, 1] * n), ())


@pytest.fixture(scope="module")
def forest() -> GenreForest:
    return fit_forest(MODEL, spectra(), n_trees=30, n_frames=40)


def test_answers_are_those_of_a_forest_on_moments_by_numpy(forest: GenreForest) -> None:
    def features(y: Tensor) -> np.ndarray:
        values = (FRONT_END.mel(y) - 0.3) / 0.7
        a = MODEL.network.activations(values).detach().double().numpy()  # type: ignore[operator]
        windows = [a[i : i + 40] for i in range(0, len(a) - 39, 40)]
        return np.stack([np.concatenate([w.mean(0), w.std(0)]) for w in windows])

    rows, labels = [], []
    for i in range(6):
        for label, hz in enumerate((2500.0, 400.0)):
            rows.append(features(tone(hz + 20 * i, i)))
            labels += [label] * len(rows[-1])
    expected = RandomForestClassifier(30, random_state=0).fit(np.concatenate(rows), labels)
    y = tone(900.0, 9)
    answers = forest(y[None])
    assert answers.shape == (1, 3, 2)
    np.testing.assert_allclose(answers[0], expected.predict_proba(features(y)), atol=0.11)


def test_pitches_are_told_apart(forest: GenreForest) -> None:
    answers = forest(torch.stack([tone(2600.0, 20), tone(450.0, 21)])).mean(1)
    assert [forest.output_names[int(row.argmax())] for row in answers] == ["high", "low"]


def test_only_an_attack_without_gradient_takes_it(forest: GenreForest) -> None:
    x = tone(2600.0, 20)[None]
    with pytest.raises(ParameterError, match="gradient"):
        WaveformPGD(forest, snr_db=10.0, steps=2).run(x)
    result = Square(forest, snr_db=10.0, steps=5).run(x)
    assert bool((result.snr_db >= 10 - 1e-3).all())


def test_a_label_without_windows_has_probability_0() -> None:
    one = spectra(2)
    one = Spectra(one.magnitudes, one.first, torch.ones(4, dtype=torch.int64), ())
    answers = fit_forest(MODEL, one, n_trees=3, n_frames=40)(tone(400.0, 0)[None])
    assert answers[0].tolist() == [[0.0, 1.0]] * 3


def test_bad_input_is_named(forest: GenreForest) -> None:
    with pytest.raises(ParameterError, match="has 800 samples, a window of 40 frames needs 5248"):
        forest(torch.zeros(1, 800))
    with pytest.raises(ParameterError, match="no sound has 4000 frames"):
        fit_forest(MODEL, spectra(1), n_frames=4000)
    with pytest.raises(ParameterError, match="n_trees is 0 and n_frames 200"):
        fit_forest(MODEL, spectra(1), n_trees=0)
    windows = Listener(
        ConvDNN(2, channels=2),
        magnitude_spectrum(),
        patch_frames=100,
        output_names=["a", "b"],
    )
    with pytest.raises(ParameterError, match="the network is ConvDNN, must be a FrameDNN"):
        fit_forest(windows, spectra(1))
