"""Components add up to the sound, and lie where they say."""

from __future__ import annotations

import math
import pickle
from dataclasses import replace
from pathlib import Path

import librosa
import numpy as np
import pytest
import torch
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.explain import components
from otoscope.explain.components import COMPONENTS, Components
from otoscope.explain.components.base import Excerpt, Part
from otoscope.explain.components.mixture import mix
from otoscope.explain.components.sources import _soft_mask
from otoscope.signal import write_audio

SR = 8000


def noise(n: int = 2 * SR, *, seed: int = 0, channels: int = 0) -> Tensor:
    shape = (channels, n) if channels else (n,)
    return 0.1 * torch.randn(shape, generator=torch.Generator().manual_seed(seed)).double()


def excerpt(y: Tensor, sr: float | None = SR, start: float = 0.0) -> Excerpt:
    """The content is the sound itself, one second of it upside down, by share."""
    return Excerpt(y, sr, lambda source, name, share: -source * share, start)


def split(cut: Components | str, y: Tensor, sr: float | None = SR) -> list[Part]:
    return mix(components.resolve(cut), excerpt(y, sr))[1]


def placed(part: Part, n: int) -> Tensor:
    after = n - part.first - part.kept.shape[-1]
    return torch.nn.functional.pad(part.kept, (part.first, after))


CUTS = [
    "time:1",
    "time:7",
    "time:5,0",
    "every:0.1",
    "bands:1",
    "bands:6",
    "grid:3x4",
    "bands:4 * time:3",
    "hpss",
    "hpss:2",
    "hpss * time:4",
    "time:3 * hpss * bands:2",
    "bands:4[0] | bands:4[1:] * time:2",
    "time:4[:2] | time:4[2:] * bands:3",
]


@pytest.mark.parametrize("text", CUTS)
@pytest.mark.parametrize("channels", [0, 2])
def test_all_components_add_up_to_the_sound(text: str, channels: int) -> None:
    y = noise(5000, channels=channels)
    parts = split(text, y)
    torch.testing.assert_close(sum(placed(part, 5000) for part in parts), y, rtol=0, atol=1e-12)
    mixture = mix(components.resolve(text), excerpt(y))[0]
    keep = torch.eye(len(parts), dtype=torch.bool)
    whole = mixture.render(torch.ones(1, len(parts), dtype=torch.bool))[0]
    torch.testing.assert_close(whole, y, rtol=0, atol=1e-12)
    for part, alone, without in zip(
        parts, mixture.render(keep), mixture.render(~keep), strict=True
    ):
        content = mixture.render(torch.zeros(1, len(parts), dtype=torch.bool))[0]
        replaced = sum(placed(replace(part, kept=part.replaced), 5000) for part in parts)
        torch.testing.assert_close(content, replaced, rtol=0, atol=1e-12)
        kept = placed(part, 5000)
        torch.testing.assert_close(alone + without, whole + content, rtol=0, atol=1e-12)
        assert not kept.isnan().any()


def test_windows_in_time_are_one_inside_and_cross_half_way_at_borders() -> None:
    y = torch.ones(SR).double()
    first, second, third = split(components.time([0, 0.25, 0.5, 1.0], fade=0.01), y)
    assert (first.first, len(first.kept)) == (0, 2040)  # 5 ms beyond the border
    assert first.kept[:1960].eq(1).all()
    assert placed(first, SR)[2000] == pytest.approx(0.5)
    assert placed(second, SR)[2000] == pytest.approx(0.5)
    for part in (first, second, third):
        assert torch.equal(part.replaced, -part.kept)  # the content fades as the sound does
    steps = placed(first, SR)[1960:2041].diff()
    assert (steps <= 0).all()
    assert third.seconds == (0.5, 1.0)
    sharp = split(components.time(4, fade=0), y)
    assert [len(part.kept) for part in sharp] == [2000] * 4


def test_fades_longer_than_blocks_still_add_up() -> None:
    y = noise(300)
    parts = split(components.time(60, fade=0.05), y)
    torch.testing.assert_close(sum(placed(part, 300) for part in parts), y, rtol=0, atol=1e-12)


def test_a_tone_lies_in_its_band_only() -> None:
    t = torch.arange(2 * SR).double() / SR
    tones = {hz: torch.sin(2 * torch.pi * hz * t) for hz in (200.0, 1000.0, 3000.0)}
    y = sum(tones.values(), torch.zeros(2 * SR).double())
    parts = split(components.bands([0, 500, 2000, 24000]), y)
    assert [part.hz for part in parts] == [(0, 500), (500, 2000), (2000, 4000)]
    for part, tone in zip(parts, tones.values(), strict=True):
        error = (part.kept - tone)[500:-500].square().mean() / tone.square().mean()
        assert 10 * math.log10(float(error)) < -60


def test_a_tone_on_a_border_is_shared_by_both_bands() -> None:
    t = torch.arange(2 * SR).double() / SR
    tone = torch.sin(2 * torch.pi * 1000 * t)
    for part in split(components.bands([0, 1000, 4000]), tone):
        torch.testing.assert_close(part.kept[500:-500], tone[500:-500] / 2, rtol=0, atol=1e-3)


def test_a_part_that_begins_later_is_filtered_as_within_the_whole_sound() -> None:
    y = noise(6000)
    later = Part(y[2000:3000], -y[2000:3000], first=2000)
    whole = torch.nn.functional.pad(later.kept, (2000, 3000))
    bands = components.bands(3)
    for part, wanted in zip(bands.split(later, excerpt(y)), split(bands, whole), strict=True):
        torch.testing.assert_close(placed(part, 6000), wanted.kept, rtol=0, atol=1e-3)
        assert part.first < 2000


@pytest.mark.parametrize(("samples", "n"), [(5000, 6), (5280, 7), (5200, 6), (200, 1)])
def test_the_last_of_equal_blocks_is_up_to_half_a_block_longer_or_shorter(
    samples: int, n: int
) -> None:
    parts = split(components.every(0.1, fade=0), noise(samples))
    lengths = [len(part.kept) for part in parts]
    assert sum(lengths) == samples
    assert lengths == pytest.approx([800] * (n - 1) + [samples - 800 * (n - 1)], abs=1)


@pytest.mark.parametrize("margin", [1.0, 3.0])
def test_cells_without_energy_are_shared_as_librosa_shares_them(margin: float) -> None:
    wanted, other = (torch.tensor(values).double() for values in ([0.0, 1, 0, 2], [0.0, 0, 3, 1]))
    mask = librosa.util.softmask(
        wanted.numpy(), margin * other.numpy(), power=2, split_zeros=margin == 1
    )
    np.testing.assert_allclose(_soft_mask(wanted, other, margin), mask)


def test_mel_bands_have_librosa_s_borders() -> None:
    parts = split(components.bands(5), noise(4000))
    borders = librosa.mel_frequencies(6, fmin=0, fmax=SR / 2)
    np.testing.assert_allclose([part.hz[1] for part in parts if part.hz], borders[1:])


def test_a_grid_is_numbered_by_time_then_band() -> None:
    parts = split("grid:2x3", noise(4000))
    names = [", ".join(text for _, text in part.labels) for part in parts]
    assert names == [f"time {t}, band {b}" for t in range(2) for b in range(3)]
    same = split("bands:3 * time:2", noise(4000))
    for t in range(2):
        for b in range(3):
            assert torch.equal(parts[3 * t + b].kept, same[2 * b + t].kept)


@pytest.mark.parametrize("margin", [1, 3])
def test_masks_are_librosa_s(margin: float) -> None:
    y, n_fft = noise(6000), 512
    y[2000:2050] += 1
    y[4000:] = 0
    parts = split(components.hpss(margin), y)
    frames = torch.nn.functional.pad(y, (n_fft, n_fft + 128)).unfold(0, n_fft, 128)
    D = torch.fft.rfft(frames * torch.hann_window(n_fft, dtype=torch.float64)).numpy()
    masks = librosa.decompose.hpss(np.abs(D).T, mask=True, margin=float(margin))
    window = np.hanning(n_fft + 1)[:-1]
    for part, mask in zip(parts, masks, strict=False):
        weighted = np.fft.irfft(D * mask.T) * window
        wanted, norm = np.zeros((2, 128 * len(D) + n_fft))
        for i, frame in enumerate(weighted):
            wanted[128 * i : 128 * i + n_fft] += frame
            norm[128 * i : 128 * i + n_fft] += window**2
        wanted = (wanted / norm.clip(1e-9))[n_fft : n_fft + 6000]
        np.testing.assert_allclose(part.kept.numpy(), wanted, rtol=0, atol=1e-9)


def test_tones_are_harmonic_and_clicks_percussive() -> None:
    t = torch.arange(2 * SR).double() / SR
    tone = 0.3 * torch.sin(2 * torch.pi * 440 * t)
    clicks = torch.zeros(2 * SR).double()
    clicks[1000::4000] = 1
    harmonic, percussive = split("hpss", tone + clicks)
    assert harmonic.labels == (("source", "harmonic"),)
    for part, wanted in ((harmonic, tone), (percussive, clicks)):
        found = np.corrcoef(part.kept.numpy(), wanted.numpy())[0, 1]
        assert found > 0.9, part.labels


def test_stems_may_be_files_pairs_and_longer_than_the_excerpt(tmp_path: Path) -> None:
    drums, bass = noise(SR, seed=1).float(), noise(SR, seed=2).float()
    write_audio(tmp_path / "drums.wav", drums, sr=SR, subtype="FLOAT")
    write_audio(tmp_path / "bass.wav", bass, sr=SR, subtype="FLOAT")
    mixed = (drums + bass)[2000:6000].double()
    for cut in (
        components.stems(tmp_path),
        components.stems({"bass": (bass, SR), "drums": tmp_path / "drums.wav"}),
        components.stems({"bass": bass[2000:6000], "drums": drums[2000:6000].numpy()}),
    ):
        parts = mix(cut, excerpt(mixed, start=0.25))[1]
        assert [part.labels[0][1] for part in parts] == ["bass", "drums"]
        torch.testing.assert_close(parts[0].kept, bass[2000:6000].double(), rtol=0, atol=1e-6)


def test_stems_that_do_not_sum_are_refused_by_their_level() -> None:
    y = noise(4000)
    short = {"a": 0.5 * y, "b": 0.4 * y}  # a tenth is missing: -20 dB
    with pytest.raises(ParameterError, match=r"stems\(a, b\) do not sum to the sound: the differ"):
        split(components.stems(short), y)
    with pytest.raises(ParameterError, match=r"difference is 20\.0 dB below it"):
        split(components.stems(short), y)
    parts = split(components.stems(short, rest=True) * components.time(2), y)
    assert [part.labels[0][1] for part in parts] == ["a", "a", "b", "b", "rest", "rest"]
    nearly = {"a": 0.5 * y, "b": 0.4999 * y}  # -80 dB: rounding of a file
    torch.testing.assert_close(sum(p.kept for p in split(components.stems(nearly), y)), y)


def test_what_does_not_fit_is_refused_with_the_remedy(tmp_path: Path) -> None:
    y, stereo = noise(4000), noise(4000, channels=2)
    stems = components.stems
    for cut, sound, message in (
        (stems({"a": stereo}), y, r"stem 'a' is of 2 channels, the sound mono; give both alike"),
        (stems({"a": y}), stereo, r"stem 'a' is mono, the sound of 2 channels"),
        (stems({"a": y[:300]}), y, r"stem 'a' has 300 samples, the sound 4000; cut both alike"),
        (stems({"a": y}) * stems({"b": y}), y, r"split the sound alone"),
        (components.time([0, 0.2]), y, r"do not cover the sound once: .* at 0\.20-0\.50 s, by -2"),
        (components.time(2) | components.bands(2), y, r"do not cover .* take away what is there"),
        (components.time([0, 9.0]), y, r"end at 9 s, the sound at 0\.5 s"),
        (components.time(5000), y, r"time\(5000\) cut 4000 samples"),
        (components.bands([0, 1, 4000]), y, r"the band 0-1 Hz is narrower than a bin of 15\.6 Hz"),
        (components.bands([5000, 6000]), y, r"begin a band at 5000 Hz; the sound ends at 4000 Hz"),
        (components.time(3)[5], y, r"time\(3\)\[5\] select one of 3 parts"),
        (components.time(3)[3:], y, r"select no part"),
        (components.time(2) * components.time(4), y, r"has no sample of the sound"),
        (components.onsets(), torch.zeros(4000).double(), r"no onset was found"),
    ):
        with pytest.raises(ParameterError, match=message):
            split(cut, sound)
    for text in ("bands:2", "hpss", "every:0.1", "onsets"):
        with pytest.raises(ParameterError, match=r"need the sampling rate of the sound; give \(y,"):
            split(text, y, sr=None)
    for make, message in (
        (lambda: components.time(0), "n is 0, must be >= 1"),
        (lambda: components.time([1, 0.5]), "seconds that rise"),
        (lambda: components.time(2, fade=-1), "fade is -1, must be seconds"),
        (lambda: components.every(0), "seconds is 0"),
        (lambda: components.bands(0), "n is 0, must be >= 1"),
        (lambda: components.bands([3, 3]), "Hz that rise"),
        (lambda: components.hpss(0.5), r"margin is 0\.5, must be >= 1"),
        (lambda: components.stems({}), "of no stems"),
        (lambda: components.stems(tmp_path / "none"), "must be a folder of stems"),
        (lambda: components.resolve("tiem:3"), "'tiem:3' is none of hpss, bands:8, grid:6x4"),
        (lambda: components.resolve(3), "components is 3; give oto.components.time"),  # type: ignore[arg-type]
        (lambda: components.time(2) * 3, r"\* stands between components and 3"),  # type: ignore[operator]
    ):
        with pytest.raises(ParameterError, match=message):
            make()


@pytest.mark.parametrize("text", COMPONENTS.examples())
def test_every_name_is_made_by_its_example_and_written_as_python_writes_it(text: str) -> None:
    made = components.resolve(text)
    assert str(components.resolve(str(made))) == str(made)
    assert str(pickle.loads(pickle.dumps(made))) == str(made)


def test_texts_cross_before_they_join() -> None:
    made = components.resolve("bands:4[0] | bands:4[1:]*time:2,0.01")
    assert str(made) == "bands(4)[0] | bands(4)[1:] * time(2, 0.01)"
    assert str((components.time(2) | components.bands(2)) * components.hpss()) == (
        "(time(2) | bands(2)) * hpss()"
    )
