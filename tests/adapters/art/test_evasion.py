"""ART calls our attacks as its own, on networks and on predictions alone."""

from __future__ import annotations

import importlib
import sys
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.ensemble import RandomForestClassifier
from torch import nn

from otoscope.adapters.art import evasion_attack
from otoscope.attack import WaveformPGD
from otoscope.attack.strong import APGD, Square
from otoscope.errors import MissingExtra, ParameterError


def sounds(n: int) -> np.ndarray:
    generator = np.random.default_rng(0)
    return (0.2 * generator.standard_normal((n, 60)).clip(-4, 4)).astype(np.float32)


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(60, 16), nn.Tanh(), nn.Linear(16, 4))


@pytest.fixture(scope="module")
def art_estimators() -> Any:
    """Import ART with numba itself, which the tests replace."""
    stand_in = sys.modules.pop("numba", None)
    try:
        pytest.importorskip("art", reason="pip install --no-deps adversarial-robustness-toolbox")
        return importlib.import_module("art.estimators.classification")
    finally:
        if stand_in is not None:
            sys.modules["numba"] = stand_in


def estimator(art_estimators: Any, net: nn.Module) -> Any:
    return art_estimators.PyTorchClassifier(
        net, nn.CrossEntropyLoss(), input_shape=(60,), nb_classes=4, device_type="cpu"
    )


@pytest.mark.parametrize("kind", [APGD, WaveformPGD])
def test_adversaries_are_those_of_the_attack(kind: Any, art_estimators: Any) -> None:
    net, x = network(), sounds(6)
    classifier = estimator(art_estimators, net)

    def make(model: Any) -> Any:
        return kind(model, snr_db=8.0, outputs="logits", steps=10)

    attack = evasion_attack(classifier, make)
    y = classifier.predict(x).argmax(1)
    ours = make(net)(torch.from_numpy(x), torch.from_numpy(y)).numpy()
    for labels in (None, y, np.eye(4)[y]):
        adversaries = attack.generate(x, labels)
        assert adversaries.dtype == x.dtype
        np.testing.assert_array_equal(adversaries, ours)
    fooled = classifier.predict(ours).argmax(1) != y
    assert fooled.any()
    target = np.full(6, 2)
    reached = evasion_attack(classifier, make, targeted=True).generate(x, target)
    np.testing.assert_array_equal(
        reached, make(net).targeted(torch.from_numpy(target))(torch.from_numpy(x)).numpy()
    )


def test_a_forest_of_art_is_attacked_by_its_predictions(art_estimators: Any) -> None:
    x = sounds(100)
    forest = RandomForestClassifier(20, random_state=0).fit(x, (x[:, :8].sum(1) > 0).astype(int))
    classifier = art_estimators.SklearnClassifier(model=forest)
    attack = evasion_attack(
        classifier, lambda model: Square(model, snr_db=3.0, steps=60, outputs="probabilities")
    )
    assert attack.targeted is False
    adversaries = attack.generate(x[:5])
    before, after = (classifier.predict(each).argmax(1) for each in (x[:5], adversaries))
    assert (before != after).any()


def test_a_targeted_attack_needs_labels(art_estimators: Any) -> None:
    attack = evasion_attack(
        estimator(art_estimators, network()),
        lambda model: APGD(model, outputs="logits"),
        targeted=True,
    )
    with pytest.raises(ParameterError, match="y is None, a targeted attack needs the labels"):
        attack.generate(sounds(2))


def test_a_missing_toolbox_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "art", None)
    with pytest.raises(MissingExtra, match="pip install --no-deps adversarial-robustness-toolbox"):
        evasion_attack(None, lambda model: APGD(model))
