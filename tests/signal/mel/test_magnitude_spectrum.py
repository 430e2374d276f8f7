"""The front end of paper E: plain magnitudes of the bins."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy
import torch

from otoscope.errors import ParameterError
from otoscope.signal import Compression, Domain, magnitude_spectrum


def sound(n: int = 6000) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).normal(size=n) * 0.1).float()


def test_values_are_scipys_magnitudes_of_frames_with_a_symmetric_hann_window() -> None:
    y = sound()
    frames = np.lib.stride_tricks.sliding_window_view(y.numpy().astype(float), 1024)[::512]
    expected = np.abs(scipy.fft.rfft(frames * scipy.signal.get_window("hann", 1024, fftbins=False)))
    made = magnitude_spectrum().log_mel(y)
    assert made.shape == (10, 513)
    np.testing.assert_allclose(made.numpy(), expected, rtol=1e-4, atol=1e-5)


def test_bands_are_the_bins_in_hz() -> None:
    front_end = magnitude_spectrum(sample_rate=8000, n_fft=64, hop_length=32)
    np.testing.assert_allclose(front_end.mel_hz.numpy(), np.fft.rfftfreq(64, 1 / 8000))
    assert torch.equal(front_end.inverse_filterbank, torch.eye(33, dtype=torch.float64))


def test_the_sound_comes_back_with_its_phases() -> None:
    y, front_end = sound(), magnitude_spectrum()
    back = front_end.invert(front_end.mel(y), phase_of=y[256:])
    inner = slice(1024, 4096)  # the first frame begins before the sound that is given
    torch.testing.assert_close(back[inner], y[256:][inner], rtol=0, atol=1e-5)


def test_without_compression_silence_is_0_and_energies_are_not_negative() -> None:
    plain = Compression("none")
    assert plain.silence == 0.0
    mel = torch.tensor([[0.0, 2.0]])
    assert torch.equal(plain.compress(mel), mel)
    assert torch.equal(plain.expand(torch.tensor([[-1.0, 2.0]])), mel)
    domain = Domain(torch.tensor([1.0, 1.0]), torch.tensor([2.0, 2.0]), plain)
    assert domain.floor.tolist() == [-0.5, -0.5]


def test_bins_are_all_bins() -> None:
    fewer = replace(magnitude_spectrum(), n_mels=80)
    with pytest.raises(ParameterError, match=r"n_mels is 80, fmin 0\.0 .*; filters 'bins' are"):
        _ = fewer.filterbank
