"""Measures of explanations against Quantus: pixel flipping and faithfulness correlation.

Both measure one attribution of ten temporal segments of each excerpt on the same perturbations.
Quantus sees ten features per excerpt, whose absence replaces a segment by 0, in its best batch of
those tried; its values are compared with ours before any time is taken. "ours" has explained the
excerpts before, so that it looks outputs up; "ours, explaining too" begins without a table and
evaluates all 1,024 coalitions in one shared pass. The bar is for SVDNet; the other networks, small
ones with and without convolutions, are reported.

    python benchmarks/bench_evaluation.py [--device cpu|cuda] [--quick]
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from command import run
from otoscope.errors import require_extra
from otoscope.explain import Explanation, SoundLIME
from otoscope.explain.evaluation import Faithfulness, faithfulness
from otoscope.models import SVDNet
from otoscope.protocols import Patch
from timing import Bar, Case, compare, measure, ratio

FRAMES, MELS, SEGMENTS, SUBSET = 115, 80, 10, 3
_BAR = 20.0
_TOLERANCE = 1e-4  # of float32 outputs


@dataclass(frozen=True)
class Sizes:
    """Excerpts, subsets of the correlation, rounds, and batches that Quantus is tried with."""

    excerpts: int
    subsets: int
    rounds: int
    batches: tuple[int, ...]
    shrink: int


SIZES = {
    "cpu": Sizes(excerpts=8, subsets=100, rounds=5, batches=(1, 4, 8), shrink=1),
    "cuda": Sizes(excerpts=32, subsets=100, rounds=5, batches=(8, 16, 32), shrink=1),
    "quick": Sizes(excerpts=2, subsets=5, rounds=1, batches=(2,), shrink=32),
}


class Features(nn.Module):
    """A network of ten features per excerpt: 0 replaces a segment, any other value names the row.

    Feature values are 1 + the row of the excerpt, so that Quantus may batch excerpts.
    """

    values: Tensor
    ids: Tensor

    def __init__(self, net: nn.Module, values: Tensor, ids: Tensor) -> None:
        super().__init__()
        self.net = net
        self.register_buffer("values", values)
        self.register_buffer("ids", ids.long())

    def forward(self, features: Tensor) -> Tensor:
        """Compute outputs [batch, output] of features [batch, 1, 1, segment]."""
        rows = (features.amax((1, 2, 3)).long() - 1).clamp(min=0)
        keep = features[:, 0, 0] > 0
        excerpts = self.values[rows] * keep[:, self.ids[:, 0]][:, :, None]
        outputs: Tensor = self.net(excerpts[:, None])
        return outputs


def cases(device: str, sizes: Sizes) -> Iterator[Case]:
    """Compare the measures on each network."""
    random = torch.Generator().manual_seed(0)
    values = torch.randn(sizes.excerpts, FRAMES, MELS, generator=random).to(device)
    networks = {
        "SVDNet": SVDNet(2, shrink=sizes.shrink),
        "small convolutional": nn.Sequential(
            nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU(),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2), nn.Softmax(1),
        ),
        "dense": nn.Sequential(
            nn.Flatten(), nn.Linear(FRAMES * MELS, 64), nn.ReLU(), nn.Linear(64, 2), nn.Softmax(1)
        ),
    }  # fmt: skip
    for name, net in networks.items():
        yield _case(name, net.to(device).eval(), values, device, sizes)


def _case(name: str, net: nn.Module, values: Tensor, device: str, sizes: Sizes) -> Case:
    lime = SoundLIME(net, segments=f"temporal:{SEGMENTS}", content=0.0, target=1)
    patches = [Patch(excerpt) for excerpt in values]
    explanations = [lime.explain(patch) for patch in patches]
    subsets = _subsets(sizes.subsets)
    random = torch.Generator().manual_seed(1)
    attributions = torch.randn(len(patches), SEGMENTS, generator=random, dtype=torch.float64)

    def ours(explained: Sequence[Explanation]) -> list[Faithfulness]:
        return [
            faithfulness(lime, explanation, attribution, subsets=subsets)
            for explanation, attribution in zip(explained, attributions, strict=True)
        ]

    def explaining_too() -> list[Faithfulness]:
        return ours([lime.explain(patch) for patch in patches])

    features = Features(net, values, explanations[0].segment_ids.to(device)).eval()
    theirs = Quantus(features, attributions, sizes)
    _require_equal(ours(explanations), theirs, sizes.batches[0])
    batch = min(
        sizes.batches,
        key=lambda size: (
            measure(partial(theirs.measure, size), device=device, repeats=1, warmup=1).median_s
        ),
    )
    rivals: dict[str, Callable[[], object]] = {
        "ours": partial(ours, explanations),
        "Quantus": partial(theirs.measure, batch),
        "ours, explaining too": explaining_too,
    }
    timings = compare(rivals, device=device, repeats=sizes.rounds, warmup=1)
    bar = None
    if name == "SVDNet":
        bar = Bar("Quantus / ours", ratio(timings["Quantus"], timings["ours"]), _BAR)
    parameters = {"excerpts": len(patches), "subsets": sizes.subsets, "batch of Quantus": batch}
    return Case(f"{name}, {SEGMENTS} segments", parameters, timings, bar)


class Quantus:
    """Both measures by Quantus, for all excerpts."""

    def __init__(self, model: Features, attributions: Tensor, sizes: Sizes) -> None:
        quantus: Any = require_extra("quantus", "bench")
        quiet = {"disable_warnings": True, "normalise": False, "abs": False}
        self.flipping = quantus.PixelFlipping(features_in_step=1, perturb_baseline=0.0, **quiet)
        self.correlation = quantus.FaithfulnessCorrelation(
            nr_runs=sizes.subsets, subset_size=SUBSET, perturb_baseline=0.0, **quiet
        )
        n, device = len(attributions), model.values.device
        rows = np.arange(1, n + 1, dtype=np.float32)[:, None, None, None]
        self.call: dict[str, Any] = {
            "model": model,
            "x_batch": np.broadcast_to(rows, (n, 1, 1, SEGMENTS)).copy(),
            "y_batch": np.ones(n, int),
            "a_batch": attributions[:, None, None].numpy(),
            "channel_first": True,
            "softmax": False,
            "device": str(device),
        }

    def measure(self, batch: int) -> tuple[list[Any], list[float]]:
        """Return the curves and the correlations of all excerpts."""
        curves = self.flipping(**self.call, batch_size=batch)
        return curves, self.correlation(**self.call, batch_size=batch)


def _subsets(n: int) -> list[list[int]]:
    """Draw the subsets that Quantus draws for one excerpt from NumPy's global generator."""
    np.random.seed(0)  # noqa: NPY002
    return [
        np.random.choice(SEGMENTS, SUBSET, replace=False).tolist()  # noqa: NPY002
        for _ in range(n)
    ]


def _require_equal(ours: Sequence[Faithfulness], theirs: Quantus, batch: int) -> None:
    """Compare the values: all curves, and the correlation of the first excerpt, drawn alone."""
    curves, _ = theirs.measure(batch)
    for mine, curve in zip(ours, curves, strict=True):
        assert np.allclose(mine.deletion[1:], np.ravel(curve), rtol=0, atol=_TOLERANCE)
    first = {
        name: value[:1] if name.endswith("_batch") else value for name, value in theirs.call.items()
    }
    np.random.seed(0)  # noqa: NPY002
    (correlation,) = theirs.correlation(**first)
    assert math.isclose(ours[0].correlation, float(correlation), abs_tol=100 * _TOLERANCE)


def main() -> None:
    """Measure, and write the results."""
    torch.set_num_threads(1)
    run("evaluation", __doc__, cases, SIZES)


if __name__ == "__main__":
    main()
