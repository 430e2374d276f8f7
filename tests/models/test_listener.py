"""A listener cuts patches whose values and waveform match; a timeline covers a sound."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from otoscope.errors import ParameterError
from otoscope.models import Listener, SVDNet, timeline
from otoscope.protocols import ListeningModel
from otoscope.signal import FrontEnd, librosa_mel, svd2015, write_audio
from tests.support.examples import examples

SR = 22050


class Loudness(torch.nn.Module):
    """Model whose output is the mean of each excerpt."""

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return batch.mean((1, 2, 3))[:, None]


def listener(front_end: FrontEnd | None = None, patch_frames: int = 115) -> Listener:
    front_end = front_end or svd2015()
    generator = torch.Generator().manual_seed(0)
    return Listener(
        Loudness(),
        front_end,
        mean=torch.randn(front_end.n_mels, generator=generator),
        std=torch.rand(front_end.n_mels, generator=generator) + 0.5,
        patch_frames=patch_frames,
        output_names=["loudness"],
    ).eval()


def sound(seconds: float) -> torch.Tensor:
    n = int(seconds * SR)
    return 0.1 * torch.randn(n, generator=torch.Generator().manual_seed(1))


def test_it_is_a_listening_model_and_a_module() -> None:
    model = listener()
    assert isinstance(model, ListeningModel)
    assert isinstance(model, torch.nn.Module)
    assert (model.sample_rate, model.hop_length, model.n_mels) == (SR, 315, 80)
    assert model.differentiable


def test_values_are_standardised_band_by_band() -> None:
    model = listener()
    y = sound(1)
    expected = (svd2015().log_mel(y) - model.mean) / model.std
    torch.testing.assert_close(model.prepare(y), expected)
    torch.testing.assert_close(model.prepare(torch.zeros(1024))[0], model.domain.floor)


@examples(20)
@given(st.floats(0, 1.3))
def test_a_patch_is_cut_from_the_whole_picture(start: float) -> None:
    model, y = listener(), sound(3)
    patch = model.patch((y, SR), start=start)
    first = round(start * 70)
    torch.testing.assert_close(patch.values, model.prepare(y)[first : first + 115])


def test_a_patch_has_the_samples_that_its_frames_own() -> None:
    model, y = listener(), sound(3)
    patch = model.patch((y, SR), start=1.0)
    assert patch.y is not None
    assert patch.duration == pytest.approx(115 / 70)
    assert len(patch.y) == 115 * 315
    begin = 70 * 315 + (1024 - 315) // 2
    assert patch.start == pytest.approx(begin / SR)
    assert patch.y.equal(y[begin : begin + 115 * 315])


def test_centred_frames_own_the_samples_after_their_centre() -> None:
    model, y = listener(librosa_mel()), sound(4)
    patch = model.patch((y, SR))
    assert patch.start == 0
    assert patch.y is not None
    assert patch.y.equal(y[: 115 * 512])


def test_a_file_and_its_samples_give_the_same_patch(tmp_path: Path) -> None:
    y = sound(2)
    write_audio(tmp_path / "a.wav", torch.stack([y, y]), sr=SR, subtype="FLOAT")
    model = listener()
    from_file, from_samples = model.patch(tmp_path / "a.wav"), model.patch((y, SR))
    assert from_file.values.equal(from_samples.values)


def test_another_rate_is_resampled(tmp_path: Path) -> None:
    y = torch.sin(2 * torch.pi * 440 * torch.arange(96000) / 48000)
    patch = listener().patch((y, 48000))
    assert patch.sr == SR
    loudest = patch.values[50].argmax()
    assert abs(float(patch.mel_hz[loudest]) - 440) < 60  # type: ignore[index]


def test_a_short_sound_is_refused_or_filled_with_the_floor() -> None:
    model = listener()
    with pytest.raises(ParameterError, match=r"lasts 0\.10 s, too short for an excerpt of 1\.64 s"):
        model.patch((sound(0.1), SR))
    patch = model.patch((sound(0.1), SR), padded=True)
    assert patch.values.shape == (115, 80)
    torch.testing.assert_close(patch.values[-1], model.domain.floor)
    assert patch.y is not None
    assert not patch.y[SR:].any()


def test_an_excerpt_by_itself_is_filled_with_silence_to_the_last_sample() -> None:
    plain = listener()
    model = Listener(
        Loudness(), svd2015(), patch_frames=115, output_names=["loudness"], per_excerpt=True
    )
    n, y = plain.excerpt_samples, sound(2)
    last = (len(y) - 1) // 315  # first frame of the last excerpt that holds a sample
    patch = model.patch((y, SR), start=last * 315 / SR, padded=True)
    filled = torch.cat([y[last * 315 :], torch.zeros(n)])[:n]
    torch.testing.assert_close(patch.values, svd2015().log_mel(filled)[:115])
    with pytest.raises(ParameterError, match=r"start is 2 s, must be in \[0, 1\.99\]"):
        model.patch((y, SR), start=2.0, padded=True)
    with pytest.raises(ParameterError, match=r"start is 0\.5 s, must be in \[0, 0\.31\]"):
        model.patch((y, SR), start=0.5)


@pytest.mark.parametrize("start", [-1, 2, float("nan")])
def test_a_start_beyond_the_sound_names_the_possible_range(start: float) -> None:
    with pytest.raises(ParameterError, match=r"start is .* must be in \[0, 0\.31\]"):
        listener().patch((sound(2), SR), start=start)


def test_samples_without_their_rate_are_refused() -> None:
    with pytest.raises(ParameterError, match=r"sound is Tensor, must be .* or \(y, sr\)"):
        listener().patch(sound(2))  # type: ignore[arg-type]


def test_gradient_reaches_the_samples_through_the_model() -> None:
    model = listener()
    y = sound(2).requires_grad_()
    values = model.prepare(y)
    model(values[None, None, :115]).sum().backward()
    assert y.grad is not None
    assert y.grad.abs().sum() > 0


def test_inversion_with_phase_sounds_like_the_patch() -> None:
    model = listener()
    t = torch.arange(2 * SR) / SR
    patch = model.patch((0.3 * torch.sin(2 * torch.pi * 440 * t), SR))
    assert patch.y is not None
    back = model.invert(patch.values, y=patch.y)
    assert back.shape == patch.y.shape
    inside = slice(2000, -2000)
    assert torch.cosine_similarity(back[inside], patch.y[inside], dim=0) > 0.95
    assert model.invert(patch.values[:20]).shape == (20 * 315,)


@pytest.mark.parametrize("front_end", [svd2015(), librosa_mel()], ids=["svd2015", "librosa"])
@pytest.mark.parametrize("start", [0.0, 0.7])
def test_inversion_with_phase_has_no_delay(front_end: FrontEnd, start: float) -> None:
    model = listener(front_end, patch_frames=40)
    y = model.patch((sound(3), SR), start=start).y
    assert y is not None
    back = model.invert(model.patch((sound(3), SR), start=start).values, y=y)
    correlation = torch.fft.irfft(torch.fft.rfft(back) * torch.fft.rfft(y).conj(), n=len(y))
    assert int(correlation.argmax()) == 0


def test_taps_reach_into_the_network() -> None:
    model = Listener(
        SVDNet(),
        svd2015(),
        mean=torch.zeros(80),
        std=torch.ones(80),
        patch_frames=115,
        output_names=["singing"],
    ).eval()
    assert model.tap("fc8")(torch.zeros(2, 1, 115, 80)).shape == (2, 64)


def test_settings_that_do_not_fit_are_refused() -> None:
    good: dict[str, Any] = {"mean": torch.zeros(80), "std": torch.ones(80)}
    names = ["loudness"]
    with pytest.raises(ParameterError, match=r"mean has shape \(79,\), the front end has 80"):
        Listener(
            Loudness(),
            svd2015(),
            mean=torch.zeros(79),
            std=torch.ones(79),
            patch_frames=1,
            output_names=names,
        )
    with pytest.raises(ParameterError, match="patch_frames is 0"):
        Listener(Loudness(), svd2015(), patch_frames=0, output_names=names, **good)
    with pytest.raises(ParameterError, match="std is 0 in band"):
        Listener(
            Loudness(),
            svd2015(),
            mean=torch.zeros(80),
            std=torch.zeros(80),
            patch_frames=1,
            output_names=names,
        )


def test_timeline_evaluates_each_excerpt() -> None:
    model, y = listener(), sound(3)
    line = timeline(model, y, hop=10, max_batch=3)
    values = model.prepare(y)
    starts = range(0, len(values) - 115 + 1, 10)
    expected = torch.stack([values[first : first + 115].mean() for first in starts])
    torch.testing.assert_close(line.outputs[:, 0], expected)
    torch.testing.assert_close(line.starts, torch.tensor(list(starts), dtype=torch.float64) / 70)
    assert line.duration == pytest.approx(115 / 70)


@pytest.mark.parametrize("length", [1, 2, 114, 115])
@pytest.mark.parametrize("hop", [1, 3])
def test_padded_timeline_has_one_output_per_frame(length: int, hop: int) -> None:
    """An excerpt of even length has one frame more before its centre than after it."""
    model, y = listener(patch_frames=length), sound(1)
    line = timeline(model, y, hop=hop, padded=True)
    values, before = model.prepare(y), length // 2
    assert len(line.outputs) == -(-len(values) // hop)
    floor = model.domain.floor.expand(length, -1)
    around = torch.cat([floor[:before], values, floor])
    for i in (0, 1, len(line.outputs) - 1):
        excerpt = around[i * hop : i * hop + length]
        torch.testing.assert_close(line.outputs[i, 0], excerpt.mean(), rtol=1e-5, atol=1e-6)
        assert float(line.starts[i]) == pytest.approx((i * hop - before) / 70)
    assert float(line.centres[0]) == pytest.approx((length / 2 - before) / 70)


def test_timeline_arguments_are_checked() -> None:
    with pytest.raises(ParameterError, match="hop is 0"):
        timeline(listener(), sound(3), hop=0)
    with pytest.raises(ParameterError, match=r"n_frames is 115, must be in \[1, "):
        timeline(listener(), sound(1))
