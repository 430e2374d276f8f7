"""Bundles return the same model, or are refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from otoscope.errors import ParameterError
from otoscope.models import Listener, SVDNet, load, load_bundle, read_card, save_bundle
from otoscope.models.checksummed import save_with_checksum
from otoscope.models.zoo.omnivad import KaldiFbank
from otoscope.signal import Compression, librosa_mel, svd2015

CARD = {"licence": "Apache-2.0", "data": "synthetic"}


def model(n_outputs: int = 1) -> Listener:
    return Listener(
        SVDNet(n_outputs, seed=3),
        svd2015(),
        mean=torch.linspace(-5, -3, 80),
        std=torch.linspace(1, 2, 80),
        patch_frames=115,
        output_names=["singing"] if n_outputs == 1 else ["none", "singing"],
    ).eval()


@pytest.mark.parametrize("n_outputs", [1, 2])
def test_a_bundle_gives_the_same_model_back(tmp_path: Path, n_outputs: int) -> None:
    saved = model(n_outputs)
    save_bundle(tmp_path / "detector", saved, card=CARD)
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "detector.json",
        "detector.safetensors",
    ]
    x = torch.randn(2, 1, 115, 80, generator=torch.Generator().manual_seed(0))
    for name in ("detector", "detector.json", "detector.safetensors"):
        loaded = load_bundle(tmp_path / name)
        assert loaded(x).equal(saved(x))
        assert loaded.front_end == saved.front_end
        assert loaded.mean.equal(saved.mean)
        assert loaded.std.equal(saved.std)
        assert loaded.output_names == saved.output_names
        assert not loaded.training
    assert load(tmp_path / "detector.json")(x).equal(saved(x))
    assert read_card(tmp_path / "detector") == CARD


def test_half_precision_halves_the_file_and_rounds_the_weights_only(tmp_path: Path) -> None:
    saved = model()
    for name, half in (("whole", False), ("half", True)):
        save_bundle(tmp_path / name, saved, card=CARD, half=half)
    sizes = [(tmp_path / f"{name}.safetensors").stat().st_size for name in ("half", "whole")]
    assert 0.5 < sizes[0] / sizes[1] < 0.51
    loaded = load_bundle(tmp_path / "half")
    assert loaded.mean.equal(saved.mean)
    assert loaded.std.equal(saved.std)
    for ours, rounded in zip(saved.parameters(), loaded.parameters(), strict=True):
        assert rounded.dtype == torch.float32
        assert rounded.equal(ours.half().float())


def test_weights_beyond_float16_are_refused(tmp_path: Path) -> None:
    saved = model()
    with torch.no_grad():
        saved.get_parameter("network.fc9.weight").fill_(1e6)
    with pytest.raises(ParameterError, match=r"network\.fc9\.weight has values .* half=False"):
        save_bundle(tmp_path / "half", saved, card=CARD, half=True)
    assert not [*tmp_path.iterdir()]


def test_other_front_ends_travel_too(tmp_path: Path) -> None:
    front_end = librosa_mel(n_mels=80, compression=Compression("log10", 1e-4))
    saved = Listener(
        SVDNet(),
        front_end,
        mean=torch.zeros(80),
        std=torch.ones(80),
        patch_frames=115,
        output_names=["singing"],
    )
    save_bundle(tmp_path / "a.b", saved, card=CARD)
    assert load_bundle(tmp_path / "a.b").front_end == front_end


@pytest.mark.parametrize("ending", ["json", "safetensors"])
def test_an_altered_file_is_refused(tmp_path: Path, ending: str) -> None:
    save_bundle(tmp_path / "detector", model(), card=CARD)
    file = tmp_path / f"detector.{ending}"
    content = bytearray(file.read_bytes())
    if ending == "json":
        content = bytearray(content.replace(b'"hop_length": 315', b'"hop_length": 316'))
    else:
        content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(ParameterError, match=r"was altered.*SHA-256"):
        load_bundle(tmp_path / "detector")


def test_spaces_in_the_description_do_not_matter(tmp_path: Path) -> None:
    save_bundle(tmp_path / "detector", model(), card=CARD)
    file = tmp_path / "detector.json"
    file.write_text(json.dumps(json.loads(file.read_text())))
    assert load_bundle(file).patch_frames == 115


def test_files_that_are_no_bundle_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=r"none\.safetensors is not there"):
        load_bundle(tmp_path / "none")
    (tmp_path / "a.safetensors").touch()
    for text in ("not json", "[]", "{}"):
        (tmp_path / "a.json").write_text(text)
        with pytest.raises(ParameterError, match="not a bundle's description"):
            load_bundle(tmp_path / "a")


def test_networks_that_cannot_be_built_again_are_refused(tmp_path: Path) -> None:
    other = model()
    other.network = torch.nn.Identity()
    with pytest.raises(ParameterError, match="network is Identity; a bundle holds one of: SVDNet"):
        save_bundle(tmp_path / "detector", other, card=CARD)
    other = model()
    other.front_end = KaldiFbank(**asdict(svd2015()))
    with pytest.raises(ParameterError, match="front_end is KaldiFbank"):
        save_bundle(tmp_path / "detector", other, card=CARD)
    assert not list(tmp_path.iterdir())


def test_a_bundle_of_a_later_version_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_bundle(tmp_path / "detector", model(), card=CARD)
    monkeypatch.setattr("otoscope.models.bundle.NETWORKS", {})
    with pytest.raises(ParameterError, match="does not describe a model of this version"):
        load_bundle(tmp_path / "detector")


def test_a_bundle_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    save_with_checksum(
        tmp_path / "newer", {"mean": torch.zeros(2)}, {"format": "otoscope bundle 9"}
    )
    with pytest.raises(ParameterError, match="newer than 'otoscope bundle 1'; update otoscope"):
        load_bundle(tmp_path / "newer")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (lambda weights: weights * float("nan"), "holds NaN or infinity"),
        (lambda weights: weights / 0, "holds NaN or infinity"),
        (lambda weights: weights.to(torch.complex64), "holds complex numbers"),
    ],
)
def test_weights_that_are_no_numbers_are_refused_by_name(
    changed: Callable[[torch.Tensor], torch.Tensor], message: str, tmp_path: Path
) -> None:
    """NaN would pass unseen where outputs are votes or ranks."""
    save_bundle(tmp_path / "m", model(), card=CARD)
    description = json.loads((tmp_path / "m.json").read_text())
    del description["sha256"]
    tensors = model().state_dict()
    name = list(tensors)[-1]
    save_with_checksum(tmp_path / "m", {**tensors, name: changed(tensors[name])}, description)
    with pytest.raises(ParameterError, match=f"m.safetensors is not .*: {name} {message}"):
        load_bundle(tmp_path / "m")
