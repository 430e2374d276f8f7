"""Paper E's networks: published sizes, a decision per frame or window, and bundles."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from otoscope.attack import SpectrumClassifier
from otoscope.errors import ParameterError
from otoscope.models import Listener, load_bundle, save_bundle
from otoscope.models.genre import ConvDNN, FrameDNN, OnSpectra
from otoscope.protocols import SoundClassifier
from otoscope.signal import magnitude_spectrum


def test_the_layers_of_the_windows_have_the_published_sizes() -> None:
    net, sizes = ConvDNN(10).eval(), {}
    for name in ("conv1", "pool1", "conv2", "dense"):
        net.get_submodule(name).register_forward_hook(
            lambda module, inputs, output, name=name: sizes.update({name: output.shape[1:]})
        )
    net.pool2.register_forward_hook(lambda m, i, output: sizes.update(pool2=output.shape[1:]))
    net(torch.zeros(1, 1, 100, 513))
    assert {name: tuple(size) for name, size in sizes.items()} == {
        "conv1": (32, 97, 114),
        "pool1": (32, 48, 56),
        "conv2": (32, 41, 49),
        "pool2": (15360,),
        "dense": (50,),
    }
    assert sum(p.numel() for p in net.parameters()) == (
        (4 * 400 + 1) * 32 + (32 * 64 + 1) * 32 + (15360 + 1) * 50 + 51 * 10
    )


@pytest.mark.parametrize("hidden", [50, 500])
def test_the_network_of_frames_is_three_layers_of_rectifiers(hidden: int) -> None:
    net = FrameDNN(10, hidden=hidden, seed=1).double().eval()
    x = torch.randn(7, 513, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    linear = [module for module in net.modules() if isinstance(module, torch.nn.Linear)]
    assert [tuple(layer.weight.shape) for layer in linear] == [
        (hidden, 513),
        (hidden, hidden),
        (hidden, hidden),
        (10, hidden),
    ]
    expected, hidden_values = x.numpy(), []
    for number, layer in enumerate(linear):
        weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
        expected = expected @ weight.T + bias
        if number < 3:
            expected = expected.clip(0)
            hidden_values.append(torch.from_numpy(expected))
    torch.testing.assert_close(net.frames(x), torch.from_numpy(expected))
    torch.testing.assert_close(net.activations(x), torch.cat(hidden_values, 1))


def test_the_answer_for_an_excerpt_is_the_mean_of_its_posteriors() -> None:
    net = FrameDNN(4, n_bins=6, hidden=5)
    x = torch.randn(2, 1, 9, 6)
    rows = [net.frames(x[i, 0, j]).softmax(-1) for i in range(2) for j in range(9)]
    torch.testing.assert_close(net(x), torch.stack(rows).view(2, 9, 4).mean(1))


def test_dropout_keeps_three_quarters_while_training_only() -> None:
    net = FrameDNN(2, n_bins=3, hidden=4000, dropout=True)
    x = torch.rand(1, 3)
    assert torch.equal(net.eval().frames(x), net.frames(x))
    dropped = net.train().hidden2[0](torch.ones(40000))
    assert float((dropped == 0).float().mean()) == pytest.approx(0.25, abs=0.02)
    assert not any(isinstance(m, torch.nn.Dropout) and m.p for m in FrameDNN(2).modules())


@pytest.mark.parametrize(
    "net", [FrameDNN(3), ConvDNN(3, channels=2, hidden=4)], ids=["frames", "windows"]
)
def test_dropped_bins_change_nothing(net: FrameDNN | ConvDNN) -> None:
    net.kept[200:300] = 0
    x = torch.randn(1, 1, 100, 513)
    changed = x.clone()
    changed[..., 200:300] = 7
    assert torch.equal(net(x), net(changed))


def magnitudes(y: Tensor) -> Tensor:
    return magnitude_spectrum().mel(y)


@pytest.mark.parametrize("hop", [None, 25])
def test_decisions_on_spectra_are_those_of_frames_and_windows(hop: int | None) -> None:
    y = torch.randn(1, 512 * 159 + 1024, generator=torch.Generator().manual_seed(0))
    mean, std = torch.rand(513), torch.rand(513) + 1
    S = magnitudes(y[0])
    values = (S - mean) / std
    frames, windows = FrameDNN(3), ConvDNN(3, channels=2, hidden=4)
    made = SpectrumClassifier(OnSpectra(frames, mean, std, "abc", hop=hop))(y)
    torch.testing.assert_close(made[0], frames.frames(values[:: hop or 1]), rtol=1e-4, atol=1e-4)
    made = SpectrumClassifier(OnSpectra(windows, mean, std, "abc", hop=hop))(y)
    starts = range(0, 160 - 100 + 1, hop or 100)
    expected = torch.cat([windows.windows(values[None, None, s : s + 100]) for s in starts])
    torch.testing.assert_close(made[0], expected, rtol=1e-4, atol=1e-4)


def test_a_sound_shorter_than_a_window_is_refused() -> None:
    spectra = OnSpectra(ConvDNN(2, channels=2), torch.zeros(513), torch.ones(513), "ab")
    with pytest.raises(ParameterError, match="the sound has 99 frames; the network hears 100"):
        spectra(torch.zeros(1, 99, 513))


@pytest.mark.parametrize(
    "network",
    [FrameDNN(2, hidden=6, dropout=True), ConvDNN(2, channels=2, hidden=4)],
    ids=["frames", "windows"],
)
def test_a_bundle_gives_the_same_answers(network: FrameDNN | ConvDNN, tmp_path: Path) -> None:
    network.kept[400:] = 0
    listener = Listener(
        network,
        magnitude_spectrum(),
        mean=torch.rand(513),
        std=torch.rand(513) + 0.5,
        patch_frames=100,
        output_names=["jazz", "rock"],
    ).eval()
    save_bundle(tmp_path / "genre", listener, card={"what": "test"})
    again = load_bundle(tmp_path / "genre")
    y = torch.randn(1, 3 * 22050)
    assert torch.equal(SoundClassifier(again)(y), SoundClassifier(listener)(y))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FrameDNN(1), "n_labels is 1, must be >= 2"),
        (lambda: FrameDNN(2, hidden=0), "hidden is 0"),
        (lambda: ConvDNN(2, n_bins=20), "n_bins is 20: too few"),
    ],
)
def test_impossible_sizes_are_refused(make: object, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        make()  # type: ignore[operator]
