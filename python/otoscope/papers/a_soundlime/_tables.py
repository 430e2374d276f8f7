"""Explanations from one table of all coalitions: the paper's draws, their limit, and our default.

Ten segments have 1,024 masks. They are evaluated once; each run of the paper's 70,000 draws then
looks its masks up, which gives the numbers that `SoundLIME.paper_a` gives.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import torch

from otoscope.errors import ParameterError
from otoscope.explain import Explanation, FewEffectiveSamples, SoundLIME
from otoscope.explain.content import Content
from otoscope.explain.design import draw_design
from otoscope.explain.fit.contributions import fit_table
from otoscope.explain.fit.evidence import clear_segments
from otoscope.explain.fit.kernel import kernel_weights
from otoscope.protocols import Patch, Target

__all__ = ["METHODS", "N_TOP", "all_coalitions", "top_of_draws", "tops_of"]

N_TOP = 3
METHODS = {
    "paper_a": "the paper's: random masks, l2 kernel, ridge with alpha 1",
    "paper_a, exact": "the limit of its draws: all masks, l2 kernel, ridge with alpha 1",
    "exact": "our default: all masks, cosine kernel, no penalty",
}
"""Ways to explain from the same outputs."""


def all_coalitions(
    model: Any, patches: Sequence[Patch], content: str | Content, *, segments: str, target: Target
) -> list[Explanation]:
    """Evaluate all coalitions of excerpts with one content; an error names the content."""
    if not patches:
        return []
    lime = SoundLIME(model, segments=segments, content=content, target=target, design="exact")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FewEffectiveSamples)
            return lime.explain(list(patches))
    except ParameterError as err:
        raise err.within(f"content {lime.settings.content}") from err


def tops_of(explanation: Explanation, *, n_samples: int, seed: int) -> dict[str, list[int]]:
    """Return the three segments that each method names."""
    return {
        "paper_a": top_of_draws(explanation, n_samples=n_samples, seed=seed),
        "paper_a, exact": top_of_draws(explanation, n_samples=n_samples, seed=None),
        "exact": explanation.top(N_TOP),
    }


def top_of_draws(explanation: Explanation, *, n_samples: int, seed: int | None) -> list[int]:
    """Explain as the paper does, from the table; seed None is the limit of many runs."""
    n = len(explanation.extents)
    kind = "exact" if seed is None else "bernoulli"
    design = draw_design(kind, n, n_samples=n_samples, seed=seed or 0)
    keep = design.coalitions.unpack()
    place = torch.full((1 << n,), -1)
    codes = 1 << torch.arange(n)
    place[(explanation.keep.long() * codes).sum(1)] = torch.arange(len(explanation.keep))
    rows = place[(keep.long() * codes).sum(1)]
    weights = design.counts * kernel_weights(keep.sum(1), n, kernel="l2", width=0.25)
    outputs = explanation.outputs[rows, explanation.selected, None]
    (fit,) = fit_table(design, weights, outputs, [explanation.target], 1.0)
    return clear_segments(fit.coefficients, explanation.rounding, None)[:N_TOP]
