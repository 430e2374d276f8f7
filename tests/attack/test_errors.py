"""What cannot be attacked is refused in one clear sentence."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from otoscope.attack import Goal, MagnitudeAdversary, SpectrumClassifier, WaveformPGD
from otoscope.attack.classifier import kind_of_outputs
from otoscope.errors import ParameterError

N = 2048


def model(sound: Tensor) -> Tensor:
    """Two logits."""
    return torch.stack([sound[:, 0], sound[:, 1:].sum(1)], 1) * 5


def attacks(**settings: Any) -> list[Any]:
    common = {"outputs": "logits", "steps": 2, **settings}
    return [WaveformPGD(model, **common), MagnitudeAdversary(model, **common)]


def sound(batch: int = 2) -> Tensor:
    return 0.1 * torch.randn(batch, N, generator=torch.Generator().manual_seed(0))


def spoiled(value: float) -> Tensor:
    x = sound()
    x[1, 3] = value
    return x


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.zeros(2, N), "sound 0 is silent: no signal-to-noise ratio is defined"),
        (torch.cat([sound(1), torch.zeros(1, N)]), "sound 1 is silent"),
        (spoiled(math.nan), f"1 of {2 * N} samples of x are NaN or infinite"),
        (spoiled(math.inf), f"1 of {2 * N} samples of x are NaN or infinite"),
        (spoiled(-1.25), r"x peaks at 1.250, beyond the amplitude of 1; scale it, or pass amp"),
        (torch.ones(2, 3, N), r"x has shape \(2, 3, 2048\), must be \[sample\] or \[batch, sa"),
        (torch.ones(0, N), r"x has shape \(0, 2048\).*not empty"),
        (torch.ones(N, dtype=torch.int16), "x is torch.int16, must be a Tensor of float32 or"),
        (torch.ones(N, dtype=torch.float16), "x is torch.float16, must be"),
        ([0.1, 0.2], "x is list, must be a sound"),
    ],
)
def test_sounds_that_cannot_be_attacked(x: Any, message: str) -> None:
    for attack in attacks():
        with pytest.raises(ParameterError, match=message):
            attack(x, 0)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (2, r"y is 2, must be in 0..1"),
        (torch.tensor([0, -1]), r"y is -1, must be in 0..1"),
        (torch.tensor([0, 1, 0]), r"y has shape \(3,\) .*\[2\] \(one per sound\)"),
        (torch.tensor([0.0, 1.0]), r"y has shape .* dtype torch.float32; must be integers"),
        (torch.tensor([True, False]), "dtype torch.bool; must be integers"),
        (torch.zeros(2, 7, dtype=torch.int64), r"labels have shape \(2, 7\), the model's frames"),
    ],
)
def test_labels_that_the_model_does_not_have(y: Any, message: str) -> None:
    for attack in attacks():
        with pytest.raises(ParameterError, match=message):
            attack(sound(), y)


def test_targets_that_the_model_does_not_have() -> None:
    for attack in attacks():
        with pytest.raises(ParameterError, match=r"the target is 5, must be in 0..1"):
            attack.targeted(5)(sound())
        with pytest.raises(ParameterError, match="a goal of 'truth' needs the true labels: y="):
            attack.targeted(Goal("truth"))(sound())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"snr_db": 0.0}, r"snr_db is 0.0, must be finite and > 0 dB"),
        ({"snr_db": -10.0}, "snr_db is -10.0"),
        ({"snr_db": math.inf}, "snr_db is inf"),
        ({"snr_db": math.nan}, "snr_db is nan"),
        ({"segmental_snr_db": 0.0}, "segmental_snr_db is 0.0"),
        ({"amplitude": -1.0}, "amplitude is -1.0"),
        ({"steps": 0}, "steps is 0, must be an integer >= 1"),
        ({"steps": 1.5}, "steps is 1.5, must be an integer >= 1"),
        ({"restarts": 0}, "restarts is 0"),
        ({"draws": 0}, "draws is 0"),
        ({"step": 0.0}, "step is 0.0, must be finite and > 0"),
        ({"confidence": 1.5}, r"confidence is 1.5, must be in \(0, 1\] or None"),
        ({"masking": -1.0}, "masking is -1.0"),
        ({"masking": 0.5}, "masking needs the sample rate: sr="),
        ({"sr": 0}, "sr is 0, must be hertz, > 0"),
        ({"seed": -1}, "seed is -1, must be an integer >= 0"),
        ({"outputs": "x"}, "outputs is 'x', must be 'logits', 'probabilities' or None"),
        ({"aggregation": "x"}, "aggregation is 'x', must be 'soft' or 'hard'"),
    ],
)
def test_settings_out_of_range(settings: dict[str, Any], message: str) -> None:
    for kind in (WaveformPGD, MagnitudeAdversary):
        with pytest.raises(ParameterError, match=message):
            kind(model, **settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_fft": 1023}, "n_fft is 1023 and hop_length 512; n_fft must be even and >= 4"),
        ({"n_fft": 2, "hop_length": 1}, "n_fft is 2"),
        ({"hop_length": 513}, r"hop_length 513; .*hop_length in 1..n_fft / 2"),
        ({"hop_length": 0}, "hop_length 0"),
        ({"faithful": True, "restarts": 2}, "the published method has no restarts: leave out"),
        ({"faithful": True, "masking": 1.0, "sr": 9}, "the published method has no masking"),
        ({"normalised": False, "masking": 1.0, "sr": 9}, "it needs normalised=True"),
    ],
)
def test_settings_of_spectra_out_of_range(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        MagnitudeAdversary(model, **settings)


def test_waveform_settings_out_of_range() -> None:
    for momentum in (-0.1, 1.0):
        with pytest.raises(ParameterError, match=rf"momentum is {momentum}, must be in \[0, 1\)"):
            WaveformPGD(model, momentum=momentum)
    wrong: Any = "l1"
    with pytest.raises(ParameterError, match="norm is 'l1'"):
        WaveformPGD(model, norm=wrong)


def test_models_that_cannot_be_attacked() -> None:
    @torch.no_grad()
    def frozen(x: Tensor) -> Tensor:
        return model(x)

    wrong: Any = "model"
    with pytest.raises(ParameterError, match="model is str, must be callable"):
        WaveformPGD(wrong)
    for kind in (WaveformPGD, MagnitudeAdversary):
        with pytest.raises(ParameterError, match=r"gives no gradient.*leave out torch.no_grad"):
            kind(frozen)(sound(), 0)


def test_a_model_that_answers_elsewhere_is_refused() -> None:
    def elsewhere(sound: Tensor) -> Tensor:
        return model(sound).to("meta")

    for kind in (WaveformPGD, MagnitudeAdversary):
        with pytest.raises(ParameterError, match=r"outputs on meta, x is on cpu: move x with .to"):
            kind(elsewhere)(sound(), 0)


def test_a_sound_of_one_sample_has_no_frame() -> None:
    x = torch.tensor([0.5])
    spectra = SpectrumClassifier(torch.nn.Linear(513, 2))
    for attack in (WaveformPGD(spectra), MagnitudeAdversary.dnn(spectra, faithful=True)):
        with pytest.raises(ParameterError, match="one frame needs 1024 samples"):
            attack(x, 0)


def test_frames_of_the_attack_and_the_model_must_agree_in_the_published_method() -> None:
    spectra = SpectrumClassifier(torch.nn.Linear(1025, 2), n_fft=2048)
    with pytest.raises(ParameterError, match=r"are \(1024, 512\), the model's are \(2048, 512\)"):
        MagnitudeAdversary(spectra, faithful=True)
    wrong: Any = "mel"
    with pytest.raises(ParameterError, match="model_input is 'mel'"):
        MagnitudeAdversary.dnn(spectra, model_input=wrong)


def test_a_target_may_be_named_if_the_model_names_its_outputs() -> None:
    net = torch.nn.Linear(8, 2)
    with pytest.raises(ParameterError, match="names no labels; give its number, or set model"):
        WaveformPGD(net).targeted("b")
    net.output_names = ["a", "b"]  # type: ignore[assignment]
    goal = WaveformPGD(net).targeted("b").goal
    assert goal is not None
    assert goal.label == 1
    with pytest.raises(ParameterError, match="its labels are a, b"):
        WaveformPGD(net).targeted("c")


def test_the_name_of_a_single_output_means_that_it_is_there() -> None:
    net = torch.nn.Linear(8, 1)
    net.output_names = ["singing"]  # type: ignore[assignment]
    goal = WaveformPGD(net).targeted("singing").goal
    assert goal is not None
    assert goal.label == 1


def test_the_remedy_for_logits_works_on_the_command_line_too() -> None:
    with pytest.raises(ParameterError, match=r"if they are logits, give outputs='logits'"):
        kind_of_outputs(torch.nn.Linear(2, 1), "probabilities", torch.tensor([[8.0]]))
