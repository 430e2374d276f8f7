"""Listening: kept cells sound as they did, the others not, and edges do not click."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from otoscope.errors import ParameterError
from otoscope.signal.listen import fade, filter_cells, listen
from otoscope.signal.mel.filterbank import mel_centres

SR, HOP, FRAMES = 16000, 160, 100
MEL_HZ = mel_centres(40, fmin=20, fmax=8000)


def tone(hz: float) -> torch.Tensor:
    return 0.5 * torch.sin(2 * torch.pi * hz * torch.arange(FRAMES * HOP) / SR)


@given(st.lists(st.booleans(), min_size=1, max_size=12))
def test_fades_lie_inside_what_is_kept(keep: list[bool]) -> None:
    hop, sr = 50, 1000  # fades of 5 samples
    envelope = fade(torch.ones(hop * len(keep)), torch.tensor(keep).float(), sr=sr, hop_length=hop)
    for frame, kept in enumerate(keep):
        inside = envelope[frame * hop : (frame + 1) * hop]
        if not kept:
            assert not inside.any()
        else:
            torch.testing.assert_close(inside[5:-5], torch.ones(hop - 10))
    steps = torch.cat([envelope, torch.zeros(1)]).diff(prepend=torch.zeros(1)).abs()
    assert steps.max() <= 1 / 6 + 1e-6  # a straight ramp of 5 samples between 0 and 1


def test_keeping_all_bands_is_a_cut_in_time() -> None:
    keep = torch.zeros(FRAMES, 40, dtype=torch.bool)
    keep[30:50] = True
    part = listen(tone(440), keep, sr=SR, hop_length=HOP, mel_hz=MEL_HZ)
    assert part.shape == (FRAMES * HOP,)
    assert not part[: 30 * HOP].any()
    assert not part[50 * HOP :].any()
    inside = slice(30 * HOP + 80, 50 * HOP - 80)
    torch.testing.assert_close(part[inside], tone(440)[inside])


def test_bands_are_filtered_with_the_original_phase() -> None:
    low, high = tone(300), tone(3000)
    keep = torch.zeros(FRAMES, 40)
    keep[:, MEL_HZ < 1000] = 1
    part = listen(low + high, keep, sr=SR, hop_length=HOP, mel_hz=MEL_HZ)
    inside = slice(1000, -1000)
    assert (part - low)[inside].abs().max() < 1e-3
    rest = listen(low + high, 1 - keep, sr=SR, hop_length=HOP, mel_hz=MEL_HZ)
    torch.testing.assert_close(part + rest, low + high, rtol=0, atol=1e-5)


def test_a_cell_is_heard_in_its_time_and_band_only() -> None:
    keep = torch.zeros(FRAMES, 40)
    keep[40:60, MEL_HZ < 1000] = 1
    part = listen(tone(300), keep, sr=SR, hop_length=HOP, mel_hz=MEL_HZ)
    loud = part.reshape(FRAMES, HOP).square().mean(1).sqrt()
    assert loud[45:55].min() > 0.3
    assert loud[:30].max() < 1e-6
    assert loud[70:].max() < 1e-6


@pytest.mark.parametrize("sr", [8000, 44100])
def test_a_gain_of_one_changes_nothing_at_any_rate(sr: int) -> None:
    y = torch.randn(5000, generator=torch.Generator().manual_seed(0))
    same = filter_cells(y, torch.ones(50, 40), sr=sr, hop_length=100, mel_hz=MEL_HZ)
    torch.testing.assert_close(same, y, rtol=0, atol=1e-5)


def test_a_gain_of_another_shape_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"must be \[frame, 40\]"):
        listen(tone(300), torch.ones(FRAMES, 39), sr=SR, hop_length=HOP, mel_hz=MEL_HZ)
