"""Transfer: a made-up pair of data sets, whose overlap and labels are known beforehand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor
from typer.testing import CliRunner

from otoscope.cli.app import app
from otoscope.errors import ParameterError
from otoscope.intervene import (
    FeatureDilation,
    Gain,
    Interrogation,
    InterrogationSettings,
    TransferResult,
)
from otoscope.intervene.transfer import fingerprint, similarities

SR = 8000


def noise(seed: int, level: float, seconds: float = 4.0) -> Tensor:
    """Bursts of noise at times of their own."""
    rng = np.random.default_rng(seed)
    envelope = np.repeat(rng.random(round(10 * seconds)) ** 3, SR // 10)
    y = envelope * rng.normal(size=len(envelope))
    return torch.from_numpy(level * y / np.abs(y).max()).float()


def system(batch: Tensor) -> list[str]:
    return ["loud" if y.abs().max() > 0.5 else "soft" for y in batch]


def first(n: int = 12) -> Interrogation:
    """All answers are right; a third of the labels is one that the second set lacks."""
    labels = ["loud", "soft", "none"] * (n // 3)
    levels = {"loud": 0.8, "soft": 0.2, "none": 0.1}
    sounds = {f"home/{i}.wav": (noise(i, levels[label]), SR) for i, label in enumerate(labels)}
    settings = InterrogationSettings(classes=("loud", "soft", "none"))
    return Interrogation(system, sounds, labels, settings=settings)


def second() -> tuple[dict[str, tuple[Tensor, int]], list[str]]:
    """Six of eight sounds are new; one is recorded again, one has a name of the first set."""
    sounds = {f"away/new-{i}.wav": (noise(100 + i, (0.8, 0.2)[i % 2]), SR) for i in range(6)}
    labels = ["loud", "soft", "soft", "soft", "loud", "loud"]  # two are wrong
    again = torch.cat([torch.zeros(SR // 2), 0.9 * noise(0, 0.8)]) + 1e-3 * noise(7, 1.0, 4.5)
    sounds["away/again.wav"] = (again, SR)
    sounds["away/4.WAV"] = (noise(200, 0.8), SR)
    return sounds, [*labels, "loud", "loud"]


def test_scores_are_those_of_the_new_items_of_shared_labels() -> None:
    sounds, labels = second()
    result = first().transfer(sounds, labels)
    assert isinstance(result, TransferResult)
    assert result.labels == ("loud", "soft")
    assert (result.n_home, result.n_away) == (8, 6)
    assert result.home.value == 1
    # loud: items 0, 4 and 5, of which 0 and 4 are loud; soft: items 1, 2, 3, of which 2 is loud
    assert result.away.value == pytest.approx((2 / 3 + 2 / 3) / 2)
    assert result.change.value == pytest.approx(result.away.value - 1)
    assert result.change.low < result.change.value < result.change.high
    assert result.missing == ("none",)
    json.dumps(result.to_dict(), default=str)


def test_what_both_hold_is_left_out_and_said() -> None:
    sounds, labels = second()
    again, named = first().transfer(sounds, labels).overlap
    assert (again.name, again.of, again.by) == ("away/again.wav", "home/0.wav", "sound")
    assert again.similarity > 0.8
    assert (named.name, named.of, named.by) == ("away/4.WAV", "home/4.wav", "name")
    (alone,) = first().transfer(sounds, labels, by_name=False).overlap
    assert alone == again
    (trained,) = (
        first()
        .transfer(sounds, labels, by_name=True, known=["train/new-3.mp3"], least_similarity=1.0)
        .overlap[:1]
    )
    assert (trained.name, trained.of) == ("away/new-3.wav", "train/new-3.mp3")


def test_labels_of_the_second_set_alone_are_left_out_and_named() -> None:
    sounds, labels = second()
    result = first().transfer(sounds, [*labels[:5], "Foxtrot", *labels[6:]])
    assert result.unknown == {"Foxtrot": 1}
    assert result.n_away == 5


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"labels": ["x", "y"] * 4}, "share 0 labels; the first has loud, none, soft"),
        ({"labels": ["loud"] * 8}, "share 1 labels"),
        ({"labels": ["loud"] * 7}, "labels has 7 entries for 8 items"),
        ({"groups": ["a"]}, "groups has 1 entries for 8 items"),
        ({"least_similarity": 0.0}, "least_similarity is 0.0"),
        ({"known": [f"new-{i}" for i in range(6)]}, "of 'loud' nothing is left"),
    ],
)
def test_bad_input_is_named(arguments: dict[str, Any], match: str) -> None:
    sounds, labels = second()
    with pytest.raises(ParameterError, match=match):
        first().transfer(sounds, **{"labels": labels, **arguments})


def test_the_first_set_needs_labels_and_both_are_of_one_kind() -> None:
    sounds, labels = second()
    unlabelled = Interrogation(system, [(noise(i, 0.8), SR) for i in range(4)])
    with pytest.raises(ParameterError, match="needs the labels"):
        unlabelled.transfer(sounds, labels)
    with pytest.raises(ParameterError, match="holds sounds and the other features"):
        first().transfer(torch.zeros(8, 1, 3), labels)


def test_features_are_those_that_are_unchanged() -> None:
    rows = torch.tensor([[[9.0], [1.0]], [[9.0], [-1.0]]] * 3)
    positive = Interrogation(
        lambda x: ["p" if v > 0 else "n" for v in x[:, 0]], rows, ["p", "n"] * 3
    )
    away = torch.tensor([1.0, -1.0, 1.0, 1.0])[:, None, None]
    unchanged = FeatureDilation(4, available=(4, 0))
    result = positive.transfer(away, ["p", "n", "p", "n"], by_name=False, unchanged=unchanged)
    assert (result.home.value, result.away.value) == (1.0, 0.75)
    with pytest.raises(ParameterError, match="says which features are unchanged"):
        positive.transfer(away, ["p", "n", "p", "n"], by_name=False)


def test_a_fingerprint_ignores_level_noise_and_a_late_start() -> None:
    y = noise(3, 0.5, 8.0)
    own = fingerprint(y, SR)
    late = torch.cat([torch.zeros(SR), y])
    noisy = 0.1 * y + 1e-4 * torch.randn(len(y), generator=torch.Generator().manual_seed(0))
    others = [fingerprint(noise(seed, 0.5, 8.0), SR) for seed in range(10, 30)]
    same = similarities(own, [own, fingerprint(late, SR), fingerprint(noisy, SR)])
    assert same.min() > 0.85
    assert similarities(own, others).max() < 0.6
    assert similarities(own, [fingerprint(torch.zeros(SR), SR)]).tolist() == [0.0]
    assert similarities(fingerprint(y[:100], SR), [own]).tolist() == [0.0]


@pytest.fixture
def pair(tmp_path: Path) -> Path:
    (tmp_path / "own.py").write_text(
        "def make():\n"
        "    def system(batch):\n"
        "        return ['loud' if y.abs().max() > 0.5 else 'soft' for y in batch]\n"
        "    system.sample_rate = 8000\n"
        "    return system\n"
    )
    for place, folder in enumerate(("first", "second")):
        for i in range(8):
            label = ("loud", "soft")[i % 2]
            path = tmp_path / folder / label / f"{i}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            y = noise(100 * place + i, 0.8 if i % 2 == 0 or (place and i == 1) else 0.2)
            soundfile.write(path, y.numpy(), SR)
    return tmp_path


def test_the_command_scores_the_second_set_and_says_so(pair: Path) -> None:
    arguments = ["interrogate", "--model", f"{pair}/own.py:make", "--data", str(pair / "first")]
    arguments += ["--polarity", "--transfer-to", str(pair / "second")]
    refused = CliRunner().invoke(app, arguments)
    assert refused.exit_code == 2
    assert "of 'loud' nothing is left" in refused.stderr
    result = CliRunner().invoke(
        app, [*arguments, "--same-names", "--json", str(pair / "result.json")]
    )
    assert result.exit_code == 0, result.output
    assert "the score is 0.88" in result.output
    transfer = json.loads((pair / "result.json").read_text())["transfer"]
    assert transfer["away"]["value"] == 0.875
    assert transfer["n_away"] == 8


def test_interventions_do_not_matter() -> None:
    sounds, labels = second()
    interrogation = first()
    before = interrogation.transfer(sounds, labels)
    interrogation.run([Gain(0.1)])
    assert interrogation.transfer(sounds, labels) == before
