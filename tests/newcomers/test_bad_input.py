"""What newcomers do wrong: each gets one clear error or note, with the remedy."""

from __future__ import annotations

import warnings
from collections import UserDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import otoscope as oto
from otoscope import components
from otoscope.attack import WaveformPGD
from otoscope.errors import ParameterError
from otoscope.intervene import Gain, Interrogation, InterrogationSettings
from otoscope.models import Listener, WaveformListener
from otoscope.signal import librosa_mel, write_audio

SR = 8000
Y = 0.1 * torch.randn(SR // 2, generator=torch.Generator().manual_seed(0))
STEREO = torch.stack([Y, Y.flip(0)])
LINEAR = nn.Sequential(nn.Linear(len(Y), 2), nn.Softmax(1))


class Random(nn.Module):
    """A model that changes its answers between calls."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1).mean(1, keepdim=True) + torch.rand(len(x), 2)


def conv(n_channels: int) -> nn.Sequential:
    end = [nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(4, 2)]
    return nn.Sequential(nn.Conv1d(n_channels, 4, 9), *end)


UNBATCHED = nn.Sequential(nn.Conv1d(1, 1, 9), nn.Flatten(), nn.Linear(len(Y) - 8, 2))
"""Takes [1, sample] for one sound without a batch."""

EITHER = nn.Sequential(
    nn.Unflatten(1, (1, -1)), nn.Conv2d(1, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()
)
"""Takes [batch, mel, frame] and [batch, frame, mel], as transformers of patches do."""


def by_time(model: Any, sound: object = (Y, SR), cut: Any = "time:2", **options: Any) -> Any:
    lime = oto.SoundLIME(model, components=cut, content="silence", target=1, **options)
    return lime.explain(sound)  # type: ignore[call-overload]


def picture(model: Any, values: object, **options: Any) -> Any:
    lime = oto.SoundLIME(model, segments="temporal:2", content=0.0, target=1, **options)
    return lime.explain(values)  # type: ignore[call-overload]


def of_waveforms(net: nn.Module, **options: Any) -> WaveformListener:
    return WaveformListener(net, sample_rate=SR, seconds=0.5, output_names=["a", "b"], **options)


def of_pictures(layout: str | None = "b mel frame") -> Listener:
    front_end = librosa_mel(sr=SR, n_fft=256, hop_length=80, n_mels=40)
    return Listener(conv(40), front_end, seconds=0.5, layout=layout, output_names=["a", "b"])


def stems(first: Tensor, second: Tensor) -> Any:
    return components.stems({"voice": first, "band": second})


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: by_time(LINEAR, cut=components.time([0, 0.2]) | components.time([0.3, 0.5])),
            r"do not cover the sound once: .* at 0\.20-0\.30 s, by -\d+\.\d dB",
        ),
        (
            lambda: by_time(LINEAR, cut=components.bands(2) | components.time(2)),
            r"do not cover the sound once: .* by 0\.0 dB against the sound",
        ),
        (
            lambda: by_time(LINEAR, cut=stems(0.5 * Y, 0.4 * Y)),
            r"do not sum to the sound: the difference is 20\.0 dB below it .*rest=True",
        ),
        (
            lambda: by_time(LINEAR, cut=stems(0.5 * STEREO, 0.5 * STEREO)),
            r"stem 'voice' is of 2 channels, the sound mono.*y\.mean\(0\)",
        ),
        (
            lambda: by_time(conv(2), (STEREO, SR), stems(0.5 * Y, 0.5 * Y)),
            r"stem 'voice' is mono, the sound of 2 channels.*y\.mean\(0\)",
        ),
        (lambda: by_time(LINEAR, (STEREO, SR)), r"the model takes mono: give y\.mean\(0\)"),
        (
            lambda: by_time(of_waveforms(LINEAR), (STEREO, SR)),
            r"the sound has 2 channels, the model hears one: mix it with y\.mean\(0\)",
        ),
        (lambda: by_time(conv(1)), r"takes \[2, 1, 4000\] .*layout='b 1 sample'"),
        (lambda: by_time(conv(2)), r"takes \[2, 2, 4000\] .*layout='b 2 sample'"),
        (lambda: by_time(UNBATCHED), r"takes \[2, 1, 4000\] .*layout='b 1 sample'"),
        (lambda: interrogated(conv(1)), r"takes \[2, 1, 4000\] .*layout='b 1 sample'"),
        (lambda: by_time(of_waveforms(conv(1))), r"layout='b 1 sample'"),
        (lambda: WaveformPGD(conv(1)).run(Y), r"WaveformListener layout='b 1 sample'"),
        (lambda: WaveformPGD(of_waveforms(conv(1))).run(Y), r"layout='b 1 sample'"),
        (
            lambda: of_waveforms(conv(1), layout="b mel frame"),
            "layout is 'b mel frame', must name the axis sample",
        ),
        (lambda: picture(conv(40), torch.rand(100, 40)), "layout='b mel frame'"),
        (
            lambda: picture(conv(40), torch.rand(100, 40), layout="b mel frame"),
            r"takes \[2, 40, 100\], so the axes of the array .* give its transpose, or a Patch",
        ),
        (
            lambda: picture(conv(100), torch.rand(40, 100), layout="b mel frame"),
            "layout='b frame mel'",
        ),
        (
            lambda: picture(of_pictures(None), (Y, SR)),
            r"takes \[2, 40, 50\] = \[batch, mel, frame\]: .*layout='b mel frame'",
        ),
        (
            lambda: picture(of_pictures(), (torch.cat([Y, Y]), SR)),
            r"lasts 1\.00 s, the model hears 0\.50 s at once; cut an excerpt: model\.patch",
        ),
        (lambda: picture(of_pictures(), (Y[:99], SR)), r"too short for an excerpt of 0\.50 s"),
        (
            lambda: picture(EITHER, torch.rand(100, 40)),
            r"takes \[2, 40, 100\] = \[batch, mel, frame\] and also \[2, 100, 40\] = .*: give the "
            "one of its training, layout='b mel frame' or layout='b frame mel'",
        ),
        (
            lambda: picture(EITHER, (Y, SR), layout="b mel frame"),
            r"of pictures, and a sound is explained; join the network to its front end with .*L",
        ),
        (
            lambda: picture(EITHER, UserDict(input_values=[1], mask=[1]), layout="b mel frame"),
            r"patch is a UserDict of 'input_values', 'mask'; .*, as with \['input_values'\]",
        ),
        (lambda: picture(EITHER, [["a.wav"]]), r"patch is 'a\.wav', must be a Patch"),
        (lambda: picture(of_pictures(), "lost.wav"), r"lost\.wav is not there"),
        (
            lambda: picture(of_pictures(), None),
            r"patch is None, must be a Patch, .* or \(y, sr\)",
        ),
        (lambda: WaveformPGD(LINEAR).run(("lost", "tuple")), "x is tuple, must be a sound"),  # type: ignore[arg-type]
    ],
)
def test_error_names_what_came_and_the_remedy(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        call()


def test_model_of_single_sounds_is_explained_one_by_one() -> None:
    class Single(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            assert x.shape == (1, len(Y))
            outputs: Tensor = LINEAR(x)
            return outputs

    lime = oto.SoundLIME(
        Single(), components="time:2", content="silence", target=1, max_batch=1, shared=False
    )
    expected = by_time(LINEAR).coefficients
    torch.testing.assert_close(lime.explain((Y, SR)).coefficients, expected)


@pytest.mark.parametrize(
    "call",
    [
        lambda: picture(Random(), torch.rand(20, 4)),
        lambda: by_time(Random()),
        lambda: by_time(of_waveforms(Random())),
        lambda: WaveformPGD(Random(), steps=1).run(Y),
        lambda: interrogated(Random(), classes=("a", "b")),
        lambda: interrogated(of_waveforms(Random())),
    ],
)
def test_model_that_changes_its_answers_between_calls_is_noted(call: Callable[[], object]) -> None:
    """One rule in explain, attack and interrogate: a warning."""
    with pytest.warns(UserWarning, match="the model is random: it has other outputs"):
        call()


def interrogated(model: nn.Module, **options: Any) -> None:
    settings = InterrogationSettings(n_draws=20, **options)
    sounds = [((i + 1) / 20 * Y, SR) for i in range(16)]
    Interrogation(model, sounds, ["a", "b"] * 8, settings=settings).run([Gain(6)])


def test_attack_on_a_steady_model_has_no_note() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        WaveformPGD(LINEAR, outputs="probabilities", steps=1).run(Y)


def test_sound_is_taken_in_every_form(tmp_path: Path) -> None:
    """A file, (y, sr), samples, arrays, lists: the same excerpt, the same answer."""
    path = tmp_path / "sound.wav"
    write_audio(path, Y, sr=SR, subtype="FLOAT")
    sounds: list[Any] = [path, str(path), (Y, SR), (Y.double().numpy(), SR), Y, Y.numpy()]
    for model in (of_waveforms(LINEAR), of_pictures()):
        lime = oto.SoundLIME(model, segments="temporal:2", content="silence", target=1)
        first = lime.explain(model.patch(path))
        for explanation in [*map(lime.explain, sounds), *lime.explain([path, (Y, SR)])]:
            assert torch.allclose(explanation.coefficients, first.coefficients, atol=1e-6)
        attack = WaveformPGD(model, outputs="logits", snr_db=20.0, steps=2)
        adversary = attack.run(Y).sound
        for sound in (*sounds, STEREO.new_tensor(np.stack([Y, Y]))):
            assert torch.allclose(attack.run(sound).sound[:1], adversary, atol=1e-6)
    twice = (torch.stack([0.5 * Y, 1.5 * Y]), SR)  # mixed to mono: Y
    assert torch.allclose(attack(twice), adversary[0], atol=1e-6)
    by_rate = attack((torch.zeros(2 * len(Y)) + torch.rand(1), 2.0 * SR))  # resampled
    assert by_rate.shape == Y.shape


def test_spectrogram_listener_is_explained_by_components() -> None:
    explanation = by_time(of_pictures(), cut="hpss")
    assert [extent.name for extent in explanation.extents] == ["harmonic", "percussive"]
    assert explanation.settings.model == "Listener"
    assert explanation.target == "b"


def test_attack_without_gradient_is_no_proof_of_robustness(tmp_path: Path) -> None:
    class Saturated(nn.Module):
        label_names = ("a", "b")

        def forward(self, x: Tensor) -> Tensor:
            loud = (1e4 * x.square().mean(1)).tanh()  # 1 to the last bit
            return torch.stack([loud, -loud], 1)

    result = WaveformPGD(Saturated(), outputs="logits", steps=3, sr=SR).run(Y)
    assert torch.equal(result.sound[0], Y)
    assert "gradient is 0" in result._repr_html_()
    assert "gradient is 0" not in WaveformPGD(LINEAR[0], steps=3, sr=SR).run(Y)._repr_html_()
