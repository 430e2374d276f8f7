"""One call that measures an explanation: faithful, stable, dependent on the model, localised."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from otoscope import records
from otoscope.documents import document
from otoscope.errors import ParameterError
from otoscope.explain.evaluation.attribution import Attribution, read_attribution
from otoscope.explain.evaluation.faithfulness import Faithfulness, faithfulness
from otoscope.explain.evaluation.stability import (
    Explainer,
    Stability,
    stability,
    weight_randomisation,
)
from otoscope.explain.result import Explanation
from otoscope.explain.soundlime import SoundLIME
from otoscope.metrics import attributions

__all__ = ["ExplanationReport", "explanation_report"]


@dataclass(frozen=True)
class ExplanationReport:
    """Hold the measures of one explanation.

    Parameters
    ----------
    target : str
        Output that is explained.
    faithfulness : Faithfulness
        Curves, correlation, and what the named segments do alone and by absence.
    sparseness, complexity : float
        SPS and COMP of L-MAC: Gini index and entropy of the attribution's cells.
    stability : Stability, optional
        Rank correlations under small changes.
    weights : dict of str to float
        Rank correlations with weights replaced, by layer; empty if it was not measured.
    localisation : dict of str to float or None
        "roc_auc", "relaxed_auc", "iou" and "pointing_game" against a truth; empty without one.

    Examples
    --------
    >>> from otoscope.explain import SoundLIME
    >>> lime = SoundLIME(torch.nn.Flatten(), segments="temporal:4", content=0.0, target=3)
    >>> explanation_report(lime, torch.ones(4, 1), with_stability=False).to_record()["target"]
    'output 3'
    """

    target: str
    faithfulness: Faithfulness
    sparseness: float
    complexity: float
    stability: Stability | None = None
    weights: dict[str, float] = field(default_factory=dict)
    localisation: dict[str, float | None] = field(default_factory=dict)

    def to_record(self) -> dict[str, Any]:
        """Return all measures as a JSON document, numbers that are not known as null."""
        plain: dict[str, Any] = records.to_plain(asdict(self))
        return document("otoscope.ExplanationReport", 1, plain)


def explanation_report(  # noqa: PLR0913 - what to measure, all keyword-only
    lime: SoundLIME,
    patch: Any,
    *,
    attribution: object = None,
    explainer: Explainer | None = None,
    truth: Any = None,
    tolerance: float = 0.05,
    with_stability: bool = True,
    with_weights: bool = False,
    seed: int = 0,
) -> ExplanationReport:
    """Measure an explanation, or an attribution made elsewhere, on our occlusion.

    Parameters
    ----------
    lime : SoundLIME
        Explainer: model, segments and content of the occlusion.
    patch : Explanation, or what `SoundLIME.explain` takes
        Excerpt; an explanation by ``lime`` is not computed again.
    attribution : array, Tensor or path, optional
        Attribution to measure instead of the coefficients: [segment], [frame], [frame, mel], or a
        file; see `read_attribution`.
    explainer : callable, optional
        What made it, patch -> [frame, mel], for stability and weights; without it these are those
        of ``lime`` and left out for an attribution made elsewhere.
    truth : sequence of (start, end), or mask [frame] or [frame, mel], optional
        Seconds, or cells, in which the target is.
    tolerance : float
        Seconds around the edges of the truth that `relaxed_auc` leaves out.
    with_stability, with_weights : bool
        Measure these too: 9 further explanations, and one per layer.
    seed : int
        Random seed.

    Returns
    -------
    ExplanationReport
        All measures.

    Raises
    ------
    ParameterError
        If attribution or truth do not fit the excerpt, or the model has no weights.

    Examples
    --------
    >>> lime = SoundLIME(torch.nn.Flatten(), segments="temporal:4", content=0.0, target=3)
    >>> mask = torch.tensor([False, False, False, True])
    >>> explanation_report(lime, torch.ones(4, 1), truth=mask).localisation["roc_auc"]
    1.0
    """
    explanation = patch if isinstance(patch, Explanation) else lime.explain(patch)
    if isinstance(explanation, list):
        raise ParameterError(f"there are {len(explanation)} excerpts; measure one at a time")
    if attribution is None and explainer is not None:
        attribution = explainer(explanation.patch)
    measured = read_attribution(attribution, explanation)
    is_elsewhere = attribution is not None
    can_repeat = not is_elsewhere or explainer is not None
    cells = measured.cells.numpy()
    return ExplanationReport(
        target=explanation.target,
        faithfulness=faithfulness(lime, explanation, measured.segments, seed=seed),
        sparseness=attributions.sparseness(cells),
        complexity=attributions.complexity(cells),
        stability=stability(lime, explanation, explainer=explainer, seed=seed)
        if with_stability and can_repeat
        else None,
        weights=weight_randomisation(lime, explanation, explainer=explainer, seed=seed)
        if with_weights and can_repeat
        else {},
        localisation={}
        if truth is None
        else _localised(measured, _mask(truth, explanation), _frames(tolerance, explanation)),
    )


def _localised(
    measured: Attribution, truth: NDArray[np.bool_], tolerance: int
) -> dict[str, float | None]:
    cells = measured.cells.numpy()
    hit = attributions.pointing_game(cells, truth)
    return {
        "roc_auc": attributions.roc_auc(cells, truth),
        "relaxed_auc": attributions.relaxed_auc(cells, truth, tolerance=tolerance),
        "iou": attributions.intersection_over_union(cells, truth),
        "pointing_game": None if hit is None else float(hit),
    }


def _frames(tolerance: float, explanation: Explanation) -> int:
    """Convert seconds to frames; one frame where their duration is not known."""
    if not tolerance >= 0:
        raise ParameterError(f"tolerance is {tolerance}, must be >= 0")
    patch = explanation.patch
    if patch.sr is None or patch.hop_length is None:
        return 1 if tolerance else 0
    return int(np.ceil(tolerance * patch.sr / patch.hop_length - 1e-9))


def _mask(truth: Any, explanation: Explanation) -> NDArray[np.bool_]:
    """Make a mask [frame, mel] of seconds or of a mask."""
    patch = explanation.patch
    shape = tuple(explanation.segment_ids.shape)
    if isinstance(truth, Tensor | np.ndarray):
        mask = np.asarray(torch.as_tensor(truth))
        if mask.dtype == bool and mask.shape in (shape, shape[:1]):
            return np.broadcast_to(mask if mask.ndim == 2 else mask[:, None], shape).copy()
        raise ParameterError(
            f"the truth is {mask.dtype} {mask.shape}, must be bool ({shape[0]},) or {shape}"
        )
    if patch.sr is None or patch.hop_length is None:
        raise ParameterError("the truth is in seconds, and the patch does not know its own")
    hop = patch.hop_length / patch.sr
    centres = patch.start + hop * (np.arange(shape[0]) + 0.5)
    inside = np.zeros(shape[0], bool)
    for start, end in truth:
        if not start <= end:
            raise ParameterError(f"the truth has ({start:g}, {end:g}), must be rising seconds")
        inside |= (start <= centres) & (centres < end)
    return np.broadcast_to(inside[:, None], shape).copy()
