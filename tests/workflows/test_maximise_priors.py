"""Priors by name: which fits a model, and what those that do not fit get."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from otoscope import models
from otoscope.cli.app import app
from otoscope.errors import ParameterError
from otoscope.explain import GeneratorPrior, MacoPrior
from otoscope.explain.maximise import find_extremes
from otoscope.models import MelGenerator, TrainedGenerator, load_generator, save_generator
from otoscope.models.generator_bundle import SHIPPED_GENERATORS
from otoscope.signal import svd2015
from otoscope.workflows import MaximiseConfig, maximise_unit
from otoscope.workflows.maximise.priors import Reservoir, choose_prior

SHORT: dict[str, Any] = {"seeds": 2, "iterations": (2,), "every": 3.0}


@pytest.fixture
def other(tmp_path: Path) -> str:
    """A model of 30 frames of 8 bands, which no shipped generator fits."""
    (tmp_path / "other.py").write_text(
        "from torch import nn\nfrom otoscope.models import Listener\n"
        "from otoscope.signal import librosa_mel\n"
        "def make():\n"
        "    net = nn.Sequential(nn.Flatten(), nn.Linear(240, 1))\n"
        "    front_end = librosa_mel(sr=8000, n_fft=256, hop_length=80, n_mels=8)\n"
        "    return Listener(net, front_end, patch_frames=30, output_names=['a'])\n"
    )
    return f"{tmp_path / 'other.py'}:make"


SHIPPED = dict(zip(SHIPPED_GENERATORS, (182_201, 932_801), strict=True))


@pytest.fixture
def narrow(tmp_path: Path) -> Path:
    """A generator of 40 frames, as a training leaves it."""
    (tmp_path / "prior").mkdir()
    network = MelGenerator(40, 80, shrink=8).eval()
    save_generator(tmp_path / "prior" / "model", TrainedGenerator(network, svd2015(), {}))
    return tmp_path / "prior"


def test_the_generator_that_comes_with_the_package_is_the_default_where_it_fits() -> None:
    result = maximise_unit(MaximiseConfig("synth-singing", "fc9", **SHORT))
    assert result.prior == "gan"
    assert result.to_dict()["prior"] == "gan"
    model = models.load("synth-singing")
    (row,) = result.ranking.rows
    made = load_generator().network(row.result.latent)
    expected = (made - model.mean) / model.std
    torch.testing.assert_close(row.result.input, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("name", "n_parameters"), SHIPPED.items())
def test_a_shipped_card_tells_size_and_quality(name: str, n_parameters: int) -> None:
    generator = load_generator(name)
    assert sum(p.numel() for p in generator.network.parameters()) == n_parameters
    card = generator.card
    assert {"what", "licence", "network", "trained on", "limits", "quality"} <= set(card)
    assert f"{n_parameters:,} parameters" in card["network"]


def test_a_shipped_generator_is_chosen_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = MaximiseConfig("synth-singing", "fc9", generator=Path("prior-synth-full"), **SHORT)
    (row,) = maximise_unit(config).ranking.rows
    model = models.load("synth-singing")
    expected = (
        load_generator("prior-synth-full").network(row.result.latent) - model.mean
    ) / model.std
    torch.testing.assert_close(row.result.input, expected, rtol=1e-4, atol=1e-4)
    monkeypatch.chdir(tmp_path)
    save_generator("prior-synth-full", TrainedGenerator(MelGenerator(shrink=8), svd2015(), {}))
    assert load_generator("prior-synth-full").network.shrink == 8  # a file of this name is meant


def test_a_model_that_no_generator_fits_gets_magnitudes(other: str) -> None:
    result = maximise_unit(MaximiseConfig(other, "1", **SHORT))
    assert result.prior == "maco"
    assert [row.setting.penalty for row in result.ranking.rows] == [0.0]
    sizes = r"makes 115 frames of 80 bands, the model takes 30 frames of 8"
    with pytest.raises(ParameterError, match=sizes):
        maximise_unit(MaximiseConfig(other, "1", prior="gan", **SHORT))


def test_a_generator_of_other_frames_is_refused_with_both_sizes(narrow: Path) -> None:
    config = MaximiseConfig("synth-singing", "fc9", generator=narrow, **SHORT)
    with pytest.raises(
        ParameterError, match=r"makes 40 frames of 80 bands, .* takes 115 frames of"
    ):
        maximise_unit(config)
    with pytest.raises(ParameterError, match="which is of prior gan, not maco"):
        replace(config, prior="maco")
    with pytest.raises(ParameterError, match="is not there; a bundle is two files"):
        maximise_unit(replace(config, generator=narrow / "other.json"))


def test_an_own_generator_is_taken_from_the_folder_of_its_training(tmp_path: Path) -> None:
    network = MelGenerator(shrink=8, seed=4).eval()
    save_generator(tmp_path / "model", TrainedGenerator(network, svd2015(), {}))
    config = MaximiseConfig("synth-singing", "fc9", generator=tmp_path, **SHORT)
    (row,) = maximise_unit(config).ranking.rows
    model = models.load("synth-singing")
    expected = (network(row.result.latent) - model.mean) / model.std
    torch.testing.assert_close(row.result.input, expected, rtol=1e-4, atol=1e-4)


def test_the_command_takes_a_generator(narrow: Path) -> None:
    words = ["maximise", "--model", "synth-singing", "--layer", "fc9", "--generator", str(narrow)]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 2
    assert "the generator makes 40 frames of 80 bands" in " ".join(result.output.split())


def test_priors_are_fitted_to_the_excerpts_that_are_kept() -> None:
    model = models.load("synth-singing")
    excerpts = torch.randn(4, 1, 115, 80)
    real = find_extremes(lambda x: x[:, 0, 0, 0], excerpts, 2)
    config = MaximiseConfig("synth-singing", "fc9", prior="maco")
    fitted = choose_prior(model, config).like(real, excerpts)
    assert isinstance(fitted.prior, MacoPrior)
    assert torch.equal(fitted.prior.magnitude, MacoPrior.of(excerpts).magnitude)
    assert fitted.prepare is not None
    silent = fitted.prepare(torch.full((1, 1, 115, 80), -1e6))
    torch.testing.assert_close(silent[0, 0, 0], model.domain.floor)
    gan = choose_prior(model, replace(config, prior="gan")).like(real, excerpts)
    assert isinstance(gan.prior, GeneratorPrior)


@pytest.mark.parametrize("n", [3, 512, 2000])
def test_a_reservoir_keeps_each_excerpt_with_the_same_probability(n: int) -> None:
    numbers = torch.arange(float(n)).view(n, 1, 1, 1)
    kept = Reservoir(numbers, seed=1)
    assert [float(x) for x in kept] == list(range(n))
    chosen = kept.excerpts.flatten()
    assert len(chosen) == len(chosen.unique()) == min(n, 512)
    assert float(chosen.mean()) == pytest.approx((n - 1) / 2, rel=0.1)


def test_names_of_priors_are_listed(other: str) -> None:
    with pytest.raises(ParameterError, match="prior is 'gans', must be one of auto, gan, maco"):
        MaximiseConfig("synth-singing", "fc9", prior="gans")
    config = MaximiseConfig("synth-singing", "fc9", prior="maco")
    with pytest.raises(ParameterError, match=r"penalty is 0\.001, and all phases of prior maco"):
        config.refuse_ignored({"penalty"})
    config.refuse_ignored()
    with pytest.raises(ParameterError, match=r"penalty is 0\.5, and all phases"):
        maximise_unit(MaximiseConfig(other, "1", penalties=(0.5,), **SHORT))
