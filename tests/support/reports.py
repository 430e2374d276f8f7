"""Explanations whose answer is known, for the tests of reports."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor

from otoscope.explain import Explanation, FewEffectiveSamples, SoundLIME, segments
from otoscope.explain.segments import Segmentation
from otoscope.protocols import Patch

HOSTILE = "<script>alert(1)</script>.wav"
SR, HOP, FRAMES, BANDS = 16000, 800, 100, 40


def patch(*, n_frames: int = FRAMES, sr: int = SR) -> Patch:
    """Noise with sound: 100 frames of 50 ms and 40 bands, from second 2 of a recording."""
    random = torch.Generator().manual_seed(0)
    return Patch(
        torch.rand(n_frames, BANDS, generator=random),
        y=0.5 * torch.randn(n_frames * HOP, generator=random).clamp(-2, 2),
        sr=sr,
        hop_length=HOP,
        mel_hz=torch.linspace(100, 7000, BANDS),
        start=2.0,
    )


def tenth(i: int) -> slice:
    """The frames of one of ten segments."""
    return slice(i * FRAMES // 10, (i + 1) * FRAMES // 10)


def weigh(weights: dict[int, float], batch: Tensor) -> Tensor:
    """Sum over tenths of the time: weight times whether the tenth is there."""
    present = {i: (batch[:, 0, tenth(i)].amax((1, 2)) > 0).double() for i in weights}
    return sum((w * present[i] for i, w in weights.items()), torch.zeros(len(batch)).double())


def explain(
    weights: dict[int, float],
    *,
    of: Patch | None = None,
    cut: Segmentation | None = None,
    design: str = "exact",
    offset: float = 0.0,
    n_samples: int | None = None,
) -> Explanation:
    """Explain a model that adds up known weights of tenths, by default on ten segments."""

    def model(batch: Tensor) -> Tensor:
        return offset + weigh(weights, batch)[:, None]

    model.output_names = ("singing",)  # type: ignore[attr-defined]
    lime = SoundLIME(
        model,
        segments=cut or segments.temporal(10),
        content=0.0,
        design=design,
        n_samples=n_samples,
        max_batch=256,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FewEffectiveSamples)  # of two or three segments
        return lime.explain(of or patch())
