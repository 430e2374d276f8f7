"""Settings: the record, in names and numbers, of the explainer that made an explanation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.explain.content.base import Content
from otoscope.explain.design import resolve_design

__all__ = [
    "Decision",
    "ExplanationSettings",
    "Link",
    "TopRule",
    "apply_link",
    "content_settings",
    "read_decision",
]

Link = Literal["identity", "log_odds"]
"""Scale on which the outputs are explained: as they are, or log(p / (1 - p))."""

Decision: TypeAlias = "float | Literal['highest']"
"""Threshold that an answer reaches or not; or "highest": the answer is the highest target."""

_ODDS_OF_ONE = 1e-7  # distance of probabilities from 0 and 1: the resolution of float32

TopRule = Literal["clear", "positive"]
"""Rule of `Explanation.top`: at least 5 % of the largest coefficient, or above 0 (papers)."""


@dataclass(frozen=True)
class ExplanationSettings:
    """Record the settings of the explainer that made an explanation.

    Parameters
    ----------
    segments, content : str
        Segmentation and content, written as calls: "temporal(10)", "blur(8, 4)".
    content_space : str
        Domain in which the content is drawn.
    content_seed : int or None
        Random seed of the content, if it is drawn.
    design : str
        Name of the design.
    n_samples : int or None
        Requested number of coalitions.
    seed : int
        Random seed of the design.
    kernel : str
        Distance of the kernel; "shapley" where the design draws by the Shapley kernel.
    kernel_width, alpha : float
        Width of the kernel; penalty of the ridge.
    surrogate : str
        Estimator written as a call, or the design that is a regression itself.
    max_batch : int or None
        Requested largest batch.
    model : str
        Name of the model; empty if unknown.
    content_description : str
        Description of the content in words; empty if unknown.
    layout : str
        Axes of the model's input; empty for "b 1 frame mel".
    top_rule : {"clear", "positive"}
        Rule by which `Explanation.top` names segments.
    link : {"identity", "log_odds"}
        Scale of the outputs that are explained.
    min_r2, min_change : float
        Smallest R2, and smallest change ``|f(all) - f(none)|``, for which `Explanation.evidence`
        names segments. Where outputs leave [0, 1], the change counts as a fraction of their span.
    decision : float, str or None
        Threshold that an answer reaches or not, or "highest"; see `decisive_sets`.

    Raises
    ------
    ParameterError
        If ``design``, ``alpha``, ``top_rule``, ``link``, ``min_r2``, ``min_change`` or ``decision``
        is out of range.

    Examples
    --------
    >>> import torch
    >>> from otoscope.explain import SoundLIME
    >>> SoundLIME.paper_a(torch.nn.Flatten()).settings.alpha
    1.0
    """

    segments: str
    content: str
    content_space: str
    content_seed: int | None
    design: str
    n_samples: int | None
    seed: int
    kernel: str
    kernel_width: float
    alpha: float
    surrogate: str
    max_batch: int | None
    model: str = ""
    content_description: str = ""
    top_rule: TopRule = "clear"
    layout: str = ""
    min_r2: float = 0.5
    min_change: float = 0.05
    link: Link = "identity"
    decision: float | str | None = None

    def __post_init__(self) -> None:
        resolve_design(self.design)
        if not self.alpha >= 0:
            raise ParameterError(f"alpha is {self.alpha}, must be >= 0")
        for name, kind in (("top_rule", TopRule), ("link", Link)):
            if getattr(self, name) not in get_args(kind):
                raise ParameterError(
                    f"{name} is {getattr(self, name)!r}, must be "
                    f"{' or '.join(map(repr, get_args(kind)))}"
                )
        if not (self.min_r2 <= 1 and math.isfinite(self.min_r2)):
            raise ParameterError(f"min_r2 is {self.min_r2}, must be a finite number, at most 1")
        if self.decision is not None:
            read_decision(self.decision)
        if not (self.min_change >= 0 and math.isfinite(self.min_change)):
            raise ParameterError(f"min_change is {self.min_change}, must be finite and >= 0")


def content_settings(content: Content) -> dict[str, Any]:
    """Return the settings that describe a content."""
    return {
        "content": content.name,
        "content_space": content.space,
        "content_seed": content.seed,
        "content_description": content.description,
    }


def read_decision(given: float | str) -> Decision:
    """Read a threshold, or "highest", from a number or its text."""
    if given == "highest":
        return "highest"
    try:
        threshold = float(given)
    except (TypeError, ValueError):
        threshold = math.nan
    if not math.isfinite(threshold):
        raise ParameterError(f"decision is {given!r}, must be a finite threshold or 'highest'")
    return threshold


def apply_link(link: Link, names: list[str], outputs: Tensor) -> tuple[list[str], Tensor]:
    """Transform outputs [..., target], and name what they are then.

    Source: Bolaños et al. (2025) :cite:`bolanos2025`, log-odds.
    """
    if link == "identity":
        return names, outputs
    low, high = float(outputs.min()), float(outputs.max())
    if low < 0 or high > 1:
        raise ParameterError(
            f"link is 'log_odds', which takes probabilities, and the outputs lie in "
            f"[{low:.4g}, {high:.4g}]; logits of one class are log-odds already"
        )
    return [f"log-odds of {name}" for name in names], outputs.logit(eps=_ODDS_OF_ONE)
