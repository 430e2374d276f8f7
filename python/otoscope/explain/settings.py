"""Settings: the record, in names and numbers, of the explainer that made an explanation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from otoscope.errors import ParameterError
from otoscope.explain.design import DESIGNS

__all__ = ["ExplanationSettings", "TopRule"]

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
    min_r2, min_change : float
        Smallest R2, and smallest change |f(all) - f(none)|, for which `Explanation.evidence` names
        segments. Where outputs leave [0, 1], the change counts as a fraction of their span.

    Raises
    ------
    ParameterError
        If ``design``, ``alpha``, ``top_rule``, ``min_r2`` or ``min_change`` is out of range.

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

    def __post_init__(self) -> None:
        if self.design not in DESIGNS:
            raise ParameterError(f"design is {self.design!r}, must be one of {', '.join(DESIGNS)}")
        if not self.alpha >= 0:
            raise ParameterError(f"alpha is {self.alpha}, must be >= 0")
        if self.top_rule not in ("clear", "positive"):
            raise ParameterError(f"top_rule is {self.top_rule!r}, must be 'clear' or 'positive'")
        if not (self.min_r2 <= 1 and math.isfinite(self.min_r2)):
            raise ParameterError(f"min_r2 is {self.min_r2}, must be a finite number, at most 1")
        if not (self.min_change >= 0 and math.isfinite(self.min_change)):
            raise ParameterError(f"min_change is {self.min_change}, must be finite and >= 0")
