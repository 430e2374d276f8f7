"""Problems of the benchmark: a model, an excerpt, its segments, and where the truth lies.

Every explainer gets the same segments, the same contents and the same number of evaluations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from otoscope.errors import ParameterError
from otoscope.metrics import attributions

__all__ = [
    "Counted",
    "Item",
    "NotApplicable",
    "Problem",
    "Stems",
    "best_possible",
    "edges_of",
    "is_off_grid",
    "judge",
]


class NotApplicable(ParameterError):
    """Error of an explainer for a problem that lacks what it needs; the table shows the reason."""


class Counted(nn.Module):
    """Call a network [batch, 1, frame, mel] -> [batch], and refuse more inputs than the budget."""

    def __init__(self, network: nn.Module, budget: int) -> None:
        super().__init__()
        self.network, self.budget, self.spent = network, budget, 0

    def forward(self, batch: Tensor) -> Tensor:
        """Evaluate a batch; each of its inputs counts."""
        self.spend(len(batch))
        outputs: Tensor = self.network(batch)
        return outputs[:, 0]

    def spend(self, n: int) -> None:
        """Count evaluations."""
        self.spent += n
        if self.spent > self.budget:
            raise ParameterError(
                f"the explainer asked for {self.spent} evaluations, and each has {self.budget}"
            )


def _same(values: Tensor) -> Tensor:
    return values


@dataclass(frozen=True, eq=False)
class Stems:
    """Parts of a sound, in a domain in which they add up.

    Parameters
    ----------
    parts : Tensor [stem, frame, mel]
        Samples, or energies.
    into, out : callable
        Maps from the input's domain to that of the parts, and back.
    """

    parts: Tensor
    into: Callable[[Tensor], Tensor] = _same
    out: Callable[[Tensor], Tensor] = _same


@dataclass(frozen=True, eq=False)
class Item:
    """An excerpt with its truth, made by a task.

    Parameters
    ----------
    network : nn.Module
        [batch, 1, frame, mel] -> [batch, 1]: the output to explain.
    x : Tensor [frame, mel]
        Input; of a sound, [sample, 1].
    ids : Tensor [frame, mel], int32
        Segment of each cell.
    contents : mapping of str to Tensor [frame, mel]
        What may replace a segment, by name.
    truth : Tensor [frame], bool
        Frames, or samples, that the output rests on.
    stems : Stems, optional
        Parts of the sound, where they are known.
    about : mapping of str to number
        Place and output of the excerpt, for the record.
    """

    network: nn.Module
    x: Tensor
    ids: Tensor
    contents: Mapping[str, Tensor]
    truth: Tensor
    stems: Stems | None = None
    about: Mapping[str, Any] = field(default_factory=dict)

    def problem(self, budget: int, seed: int) -> Problem:
        """Pose the item, without its truth, with a fresh count of evaluations."""
        model = Counted(self.network, budget)
        seed %= 1 << 31  # as scikit-learn takes it
        return Problem(model, self.x, self.ids, self.contents, budget, seed, self.stems)


@dataclass(frozen=True, eq=False)
class Problem:
    """Pose an item to an explainer, which returns a number per segment or per cell of ``x``.

    Parameters
    ----------
    model : Counted
        [batch, 1, frame, mel] -> [batch]; each input counts. An explainer that calls
        ``model.network`` instead says what it spends by ``model.spend(n)``.
    x : Tensor [frame, mel]
        Input to explain; of a sound, [sample, 1].
    ids : Tensor [frame, mel], int32
        Segment of each cell.
    contents : mapping of str to Tensor [frame, mel]
        What may replace a segment, by name.
    budget : int
        Largest number of evaluations.
    seed : int
        Random seed.
    stems : Stems, optional
        Parts of the sound; None where they are not known.
    """

    model: Counted
    x: Tensor
    ids: Tensor
    contents: Mapping[str, Tensor]
    budget: int
    seed: int
    stems: Stems | None = None

    @property
    def n_segments(self) -> int:
        """Number of segments."""
        return int(self.ids.max()) + 1

    def pooled(self, given: object) -> Tensor:
        """Return a number per segment: those given, or means over the cells of a map."""
        values = torch.as_tensor(given).detach().cpu().double()
        n, ids = self.n_segments, self.ids.cpu().long().flatten()
        if values.shape not in ((n,), self.x.shape):
            raise ParameterError(
                f"the explainer returned shape {tuple(values.shape)}, must be one number per "
                f"segment ({n},) or per cell {tuple(self.x.shape)}"
            )
        if not bool(values.isfinite().all()):
            raise ParameterError("the explainer returned numbers that are not finite")
        if values.shape == (n,):
            return values
        sums = torch.zeros(n, dtype=torch.float64).index_add_(0, ids, values.flatten())
        return sums / ids.bincount(minlength=n)


_MOST_FRAMES = 1000


def judge(scores: Tensor, item: Item) -> dict[str, float]:
    """Compare scores of segments with the truth, frame by frame."""
    step = max(1, len(item.truth) // _MOST_FRAMES)
    cells, truth = scores[item.ids[::step, 0].long()].numpy(), item.truth[::step].numpy()
    pointed = attributions.pointing_game(cells, truth)
    return {
        "auc": attributions.roc_auc(cells, truth),
        "iou": attributions.intersection_over_union(cells, truth),
        "pointing": float("nan") if pointed is None else float(pointed),
    }


def best_possible(item: Item) -> dict[str, float]:
    """Judge the fraction of each segment that is true: no scores of segments do better."""
    ids = item.ids[:, 0].long()
    n = int(ids.max()) + 1
    inside = torch.zeros(n, dtype=torch.float64).index_add_(0, ids, item.truth.double())
    return judge(inside / ids.bincount(minlength=n), item)


def edges_of(ids: Tensor) -> Tensor:
    """Return the frames at which another segment begins."""
    return (ids[1:, 0] != ids[:-1, 0]).nonzero()[:, 0] + 1


def is_off_grid(truth: Tensor, ids: Tensor, *, least: float = 0.1) -> bool:
    """Whether there is a truth whose edges lie off those of segments, by a part of a segment."""
    changes = (truth[1:] != truth[:-1]).nonzero()[:, 0] + 1
    if not len(changes) or not len(edges := edges_of(ids)):
        return False
    distance = (changes[:, None] - edges).abs().min()
    return bool(distance >= least * len(truth) / (len(edges) + 1))
