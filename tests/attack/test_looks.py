"""A search on a GPU looks at the device from time to time, and finds what one on the CPU finds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from otoscope.attack import (
    AttackResult,
    MagnitudeAdversary,
    RandomNoise,
    RandomShift,
    WaveformPGD,
    bounds,
    kernels,
    objective,
    search,
)
from otoscope.attack.classifier import SpectrumClassifier
from otoscope.attack.objective import Objective
from otoscope.attack.problem import Problem
from otoscope.attack.strong import APGD, LeastNorm
from otoscope.errors import ParameterError
from otoscope.progress import silent
from otoscope.signal import snr
from otoscope.signal.masking import MaskingThreshold
from tests.attack.test_passes import Pictures
from tests.attack.test_waveform import sounds, weights

ATTACKS = [WaveformPGD, MagnitudeAdversary, APGD]


def linear(n: int, labels: int = 2) -> Callable[[Tensor], Tensor]:
    """Logits of each sound by itself: they have the same bits in every batch."""
    w = weights(n, labels)
    return lambda sound: torch.stack([row @ w.to(row) for row in sound])


def look_rarely(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Treat the CPU as a GPU; return the list to which each look adds the size of its batch."""
    looks, read = list[int](), search._read
    monkeypatch.setattr(search, "_WITHOUT_QUEUE", ())

    def counted(flags: Tensor) -> list[int]:
        looks.append(len(flags))
        return read(flags)

    monkeypatch.setattr(search, "_read", counted)
    return looks


@pytest.fixture(params=["kernels", "torch"])
def path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Steps by kernels, then by torch's operators, as on a GPU."""
    if request.param == "torch":
        for module in (kernels, bounds, objective):
            monkeypatch.setattr(module, "on_kernel", lambda *tensors: False)
    return request.param


def assert_same(result: AttackResult, expected: AttackResult) -> None:
    """Equal in every bit; NaN equals NaN."""
    for field in fields(AttackResult):
        ours, theirs = getattr(result, field.name), getattr(expected, field.name)
        if isinstance(theirs, Tensor):
            torch.testing.assert_close(ours, theirs, rtol=0, atol=0, equal_nan=True)


SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "restarts": {"restarts": 3, "confidence": 0.97},
    "transforms": {"transforms": (RandomNoise(20.0), RandomShift(3)), "draws": 2},
    "segments": {"segmental_snr_db": 10.0},
    "near full scale": {"amplitude": 0.81},
    "unlimited": {"amplitude": None},
}


@pytest.mark.parametrize("kind", ATTACKS)
@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_search_that_looks_rarely_finds_the_same_bits(
    path: str, kind: Any, setting: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    if setting == "near full scale" and path == "kernels":
        monkeypatch.setattr(bounds, "on_kernel", lambda *tensors: False)  # others: see `_is_clear`
    settings = {"snr_db": 12.0, "steps": 30, "step": 0.02, "confidence": 0.8, "outputs": "logits"}
    frames = {"n_fft": 64, "hop_length": 16} if kind is MagnitudeAdversary else {}
    attack = kind(linear(400), **{**settings, **frames, **SETTINGS[setting]})
    x, y = sounds(8, 400).to(dtype), torch.tensor([0, 1] * 4)
    expected = attack.run(x, y)
    assert len(set(expected.iterations.tolist())) > 2
    looks = look_rarely(monkeypatch)
    assert_same(attack.run(x, y), expected)
    if setting != "transforms":
        assert len(looks) <= attack.restarts * len({0, 1, 2, 4, 8, 16, 24, 30})


def test_masking_and_bounds_on_samples_do_not_depend_on_looks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings: dict[str, Any] = {"snr_db": 6.0, "steps": 20, "outputs": "logits"}
    x = sounds(6, 3000)
    attacks = [
        WaveformPGD(linear(3000), norm="linf", step=0.02, confidence=0.8, **settings),
        WaveformPGD(linear(3000), masking=0.5, sr=16000, **settings),
    ]
    expected = [attack.run(x) for attack in attacks]
    looks = look_rarely(monkeypatch)
    for attack, before in zip(attacks, expected, strict=True):
        assert_same(attack.run(x), before)
    assert len(looks) <= 2 * len({0, 1, 2, 4, 8, 16, 20})


def test_random_numbers_of_later_searches_do_not_depend_on_looks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A bisection attacks each sound several times, with draws of one generator."""
    pgd = WaveformPGD(linear(200), steps=12, transforms=(RandomShift(3),), outputs="logits")
    least = LeastNorm(pgd, lowest_db=5.0, highest_db=40.0)
    expected = least.run(sounds(4, 200))
    look_rarely(monkeypatch)
    assert_same(least.run(sounds(4, 200)), expected)


@pytest.mark.parametrize("memory_format", ["contiguous", "channels_last"])
def test_networks_in_either_memory_format_are_fooled_alike(
    memory_format: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Up to rounding: a convolution may sum in another order in a batch of another size."""
    attack = WaveformPGD(
        Pictures(), snr_db=3.0, steps=30, step=0.02, confidence=0.995, memory_format=memory_format
    ).targeted(1)
    expected = attack.run(sounds(8, 200))
    assert len(set(expected.iterations.tolist())) > 2
    look_rarely(monkeypatch)
    result = attack.run(sounds(8, 200))
    assert torch.equal(result.iterations, expected.iterations)
    assert torch.equal(result.success, expected.success)
    torch.testing.assert_close(result.sound, expected.sound)
    torch.testing.assert_close(result.confidence, expected.confidence, equal_nan=True)


class Copies(TorchDispatchMode):
    """Counts copies between devices, which wait for both."""

    n: int = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        both = [t for t in (*args, result) if isinstance(t, Tensor) and t.ndim > 0]
        self.n += len({t.device for t in both}) > 1
        return result


@pytest.mark.parametrize("kind", ATTACKS)
@pytest.mark.parametrize(("masking", "norm"), [(0.0, "l2"), (0.0, "linf"), (0.5, "l2")])
def test_nothing_is_read_from_the_device_between_looks(
    kind: Any, masking: float, norm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tensors of the device "meta" have no numbers: whatever reads one raises an error."""
    if (kind is APGD and masking) or (kind is MagnitudeAdversary and norm == "linf"):
        pytest.skip("the attack has no such setting")
    looks = list[int]()
    monkeypatch.setattr(snr, "_check_sounding", lambda energy: None)  # once for each search

    def none_is_done(flags: Tensor) -> list[int]:
        looks.append(len(flags))
        return [0] * len(flags)

    monkeypatch.setattr(search, "_read", none_is_done, raising=False)
    x = torch.empty(3, 4096, device="meta")
    model = SpectrumClassifier(torch.nn.Linear(513, 4, device="meta").requires_grad_(False))
    special: dict[str, Any] = {} if kind is MagnitudeAdversary else {"norm": norm}
    special |= {"masking": masking} if masking else {}
    labels, level = torch.zeros(3, dtype=torch.int64, device="meta"), x.new_empty(3, 11, 1025)
    threshold = MaskingThreshold(level, level[:, 0, 0], labels, 2048, 512) if masking else None
    problem = Problem(x, Objective(labels, targeted=True), (), threshold, masking)

    def n_copies(steps: int) -> int:
        attack = kind(model, steps=steps, amplitude=None, outputs="logits", sr=16000, **special)
        looks.clear()
        copies = Copies()  # type: ignore[no-untyped-call]
        with copies:
            if kind is APGD:
                attack.search_from(problem, x, silent)
            else:
                attack.solve(problem)
        return copies.n

    n_copies(1)  # windows are copied to the device once for all searches
    assert n_copies(20) == n_copies(1)
    assert n_copies(20) < 5
    assert len(looks) == len({0, 1, 2, 4, 8, 16, 20})


class Breaking(torch.nn.Module):
    """Two logits, 1 and ten means of a sound; between limits the second, or its slope, is NaN."""

    def __init__(self, low: float, high: float, breaks: str) -> None:
        super().__init__()
        self.low, self.high, self.breaks = low, high, breaks

    def forward(self, sound: Tensor) -> Tensor:
        assert bool(sound.isfinite().all())
        logit = 10 * sound.mean(1)
        is_between = (logit > self.low) & (logit < self.high)
        if self.breaks == "outputs":
            extra = torch.where(is_between, torch.nan, 1.0)
        else:
            extra = torch.where(is_between, 0 * logit, 1.0).sqrt()  # the slope is 0 times infinity
        return torch.stack([torch.ones_like(logit), logit + extra], 1)


def offset(*means: float) -> Tensor:
    """Loud sounds of low means: [batch, 50]."""
    x = torch.full((len(means), 50), 0.4)
    x[:, ::2] *= -1
    return x + torch.tensor(means)[:, None]


@pytest.mark.parametrize("kind", [WaveformPGD, APGD])
@pytest.mark.parametrize("breaks", ["outputs", "gradient"])
def test_numbers_that_are_not_finite_are_refused_alike(
    kind: Any, breaks: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One sound is done when another meets them; none reaches the model."""
    model, random = Breaking(-1.3, -0.7, breaks), {"random_start": False} if kind is APGD else {}
    attack = kind(model, snr_db=0.1, steps=30, step=0.1, outputs="logits", **random).targeted(1)
    x = offset(-0.03, -0.3)
    with pytest.raises(ParameterError, match="NaN or infinite") as expected:
        attack.run(x)
    if breaks == "outputs":
        assert str(expected.value).startswith("1 of 2 outputs")  # of the sound that is left
    looks = look_rarely(monkeypatch)
    with pytest.raises(ParameterError) as err:
        attack.run(x)
    assert str(err.value) == str(expected.value)
    assert len(looks) > 2


@pytest.mark.parametrize("kind", [WaveformPGD, APGD])
@pytest.mark.parametrize("breaks", ["outputs", "gradient"])
def test_a_sound_that_is_done_is_not_refused_for_where_it_would_have_gone(
    kind: Any, breaks: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, random = Breaking(0.5, 99.0, breaks), {"random_start": False} if kind is APGD else {}
    attack = kind(model, snr_db=0.1, steps=30, step=0.1, outputs="logits", **random).targeted(1)
    expected = attack.run(offset(-0.1, -0.2))
    assert expected.success.tolist() == [True, True]
    with pytest.raises(ParameterError, match="NaN or infinite"):
        replace(attack, confidence=0.9).run(offset(-0.1, -0.2))
    look_rarely(monkeypatch)
    assert_same(attack.run(offset(-0.1, -0.2)), expected)
