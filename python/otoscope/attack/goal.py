"""Goals: which label each sound is pushed to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.seeds import torch_generator

__all__ = ["Goal", "check_labels"]


@dataclass(frozen=True, eq=False)
class Goal:
    """What a model is to be made to hear.

    Parameters
    ----------
    mode : {"all_same", "truth", "random", "all_wrong"}
        Every sound to ``label``; each to its true label (accuracy inflated); each to a label drawn
        from all; each to one drawn from all but its true one.
    label : int or Tensor [batch] or [batch, frame], optional
        For "all_same": one label, or one a sound (or frame).
    seed : int
        Of the draws; the draw of a sound depends on its index only, not on its batch.

    Raises
    ------
    ParameterError
        If the mode is unknown, or "all_same" comes without a label or another mode with one.

    References
    ----------
    Kereliuk, Sturm and Larsen, "Deep learning and music adversaries", IEEE Trans. Multimedia
    17(11), 2015, section IV.

    Examples
    --------
    >>> Goal("all_wrong").labels(torch.tensor([0, 1]), n_labels=2)
    tensor([1, 0])
    """

    mode: Literal["all_same", "truth", "random", "all_wrong"]
    label: int | Tensor | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        modes = ("all_same", "truth", "random", "all_wrong")
        if self.mode not in modes:
            raise ParameterError(f"mode is {self.mode!r}, must be one of {', '.join(modes)}")
        if (self.label is not None) != (self.mode == "all_same"):
            raise ParameterError(
                f"mode {self.mode!r} came with label {self.label}; "
                "'all_same' needs a label (0 is one), the others choose it"
            )

    def labels(self, y: Tensor, *, n_labels: int, first_example: int = 0) -> Tensor:
        """Choose the label of each sound.

        Parameters
        ----------
        y : Tensor [batch] or [batch, frame], int64
            True labels.
        n_labels : int
            How many there are.
        first_example : int
            Index of the first sound of the batch among all that are attacked.

        Returns
        -------
        Tensor [batch] or [batch, frame]
            int64.

        Raises
        ------
        ParameterError
            If a label is out of range, or there are not as many as sounds.

        Examples
        --------
        >>> Goal("all_same", label=0).labels(torch.tensor([3, 1]), n_labels=4)
        tensor([0, 0])
        """
        if self.label is not None:
            label = torch.as_tensor(self.label, device=y.device)
            label = label.expand(len(y)) if label.ndim == 0 else label
            return check_labels("the target", label, n_labels=n_labels, n_sounds=len(y))
        if self.mode == "truth":
            return y
        others = n_labels - (self.mode == "all_wrong")
        draws = torch.stack(
            [
                torch.randint(
                    others, y.shape[1:], generator=torch_generator(self.seed, first_example + i)
                )
                for i in range(len(y))
            ]
        ).to(y.device)
        # The others in a ring: 1 to n_labels - 1 steps from the truth, all equally likely.
        return draws if self.mode == "random" else (y + 1 + draws) % n_labels


def check_labels(name: str, labels: Tensor, *, n_labels: int, n_sounds: int) -> Tensor:
    """Refuse labels that a model does not have.

    Parameters
    ----------
    name : str
        What the caller calls them.
    labels : Tensor [batch] or [batch, frame]
        Integers.
    n_labels, n_sounds : int
        How many labels and sounds there are.

    Returns
    -------
    Tensor
        The labels as int64.

    Raises
    ------
    ParameterError
        If they are not integers in 0..n_labels - 1, one row a sound.

    Examples
    --------
    >>> check_labels("y", torch.tensor([0, 1]), n_labels=2, n_sounds=2)
    tensor([0, 1])
    """
    integral = not (labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool)
    if not integral or labels.ndim not in (1, 2) or len(labels) != n_sounds:
        raise ParameterError(
            f"{name} has shape {tuple(labels.shape)} and dtype {labels.dtype}; must be integers, "
            f"[{n_sounds}] (one a sound) or [{n_sounds}, frame]"
        )
    outside = labels[(labels < 0) | (labels >= n_labels)]
    if len(outside):
        raise ParameterError(f"{name} is {int(outside[0])}, must be in 0..{n_labels - 1}")
    return labels.long()
