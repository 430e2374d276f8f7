"""Interrogate a model on a folder of sounds or features: settings in, findings and a page out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from otoscope import records, report
from otoscope.errors import Advice, Argument, ParameterError
from otoscope.intervene import (
    FeatureDilation,
    Flip,
    Interrogated,
    Interrogation,
    InterrogationSettings,
    Intervention,
)
from otoscope.intervene.interrogation._items import Progress
from otoscope.protocols import ListeningModel, SoundClassifier
from otoscope.workflows._items import Columns, JudgedItems, read_items
from otoscope.workflows._recording import any_model

__all__ = ["InterrogateFiles", "InterrogatedFiles", "interrogate_files", "save_interrogated"]


@dataclass(frozen=True)
class InterrogateFiles:
    """Which model to ask, about what, and what is done to it.

    Parameters
    ----------
    model : str
        For `otoscope.models.load`: a name, a bundle, or "FILE.py:FUNCTION", whose
        ``FUNCTION()`` returns a model or a function: Tensor [item, sample] (or [item, feature])
        to labels, or to scores [item, class]. A function's rate is its ``sample_rate``, if it has
        one, else the first file's.
    data : Path
        A folder with a sub-folder a class, a dance corpus, or features: see `read_items`.
    interventions : tuple of Intervention
        On sounds, each with its greatest dose.
    dilation : float, optional
        On features: the greatest dilation, percent.
    labels : Path, optional
        CSV: file, label, and others.
    unlabelled : bool
        The model's own answers to the unchanged items are taken as right.
    groups : str, optional
        Column of what items share.
    confound : tuple of str, optional
        Columns of numbers that may give the class away.
    classes : tuple of str, optional
        The outputs that a model may answer with, or what a function may answer, in the order of
        its columns; default: the labels.
    threshold : float, optional
        Of a model's only output.
    doses : int, optional
        Doses to each side of 0, where half a dose is half the change; default: three.
    budget : int
        Further tries an item, over compositions.
    max_drop : float
        Points that the score may fall by, in [0, 100).
    settings : InterrogationSettings
        Figure, duration, seed, workers, cache; its classes and bound are those above.
    device : str
        Where the model runs, "cpu" or "cuda".

    Examples
    --------
    >>> from otoscope.intervene import Tempo
    >>> InterrogateFiles("musicnn-mtt", Path("songs"), (Tempo(6),)).max_drop
    5.0
    """

    model: str
    data: Path
    interventions: tuple[Intervention, ...] = ()
    dilation: float | None = None
    labels: Path | None = None
    unlabelled: bool = False
    groups: str | None = None
    confound: tuple[str, ...] | None = None
    classes: tuple[str, ...] | None = None
    threshold: float | None = None
    doses: int | None = None
    budget: int = 0
    max_drop: float = 5.0
    settings: InterrogationSettings = field(default_factory=InterrogationSettings)
    device: str = "cpu"


@dataclass(frozen=True, eq=False)
class InterrogatedFiles:
    """What was asked, and what was found.

    Parameters
    ----------
    asked : InterrogateFiles
        The settings.
    found : Interrogated
        The findings.
    interrogation : Interrogation
        Which renders what flipped.

    Examples
    --------
    >>> interrogate_files(asked).found.is_broken  # doctest: +SKIP
    True
    """

    asked: InterrogateFiles
    found: Interrogated
    interrogation: Interrogation

    @property
    def can_be_heard(self) -> bool:
        """Whether the items are sounds."""
        return self.asked.dilation is None

    def hear(self, flip: Flip) -> tuple[Tensor, Tensor, float]:
        """Render a pair.

        Parameters
        ----------
        flip : Flip
            One of ``found.pairs``.

        Returns
        -------
        before, after : Tensor [sample]
            As the model heard them.
        sr : float
            Samples a second.

        Examples
        --------
        >>> interrogate_files(asked).hear(found.pairs[0])  # doctest: +SKIP
        """
        return self.interrogation.hear(flip)

    def to_dict(self) -> dict[str, Any]:
        """Give settings, findings and versions in JSON's types."""
        asked = {
            **vars(self.asked),
            "interventions": [i.settings for i in self.asked.interventions],
        }
        plain: dict[str, Any] = json.loads(
            records.to_json(
                {**self.found.to_dict(), "asked": asked, "versions": records.versions()}
            )
        )
        return plain


def interrogate_files(
    asked: InterrogateFiles,
    *,
    answers: Path | None = None,
    progress: Progress | None = None,
) -> InterrogatedFiles:
    """Ask a model about every item, unchanged and changed.

    Parameters
    ----------
    asked : InterrogateFiles
        What to ask.
    answers : Path, optional
        JSON Lines file that answers are written to as they come; the same again goes on there.
    progress : callable, optional
        Goes over rounds of items.

    Returns
    -------
    InterrogatedFiles
        The findings.

    Raises
    ------
    ParameterError
        If a setting is wrong, an item too short, labels are not what the model can answer, or
        there are too few items or classes.

    Examples
    --------
    >>> interrogate_files(asked).found.verdict.kind  # doctest: +SKIP
    'horse'
    """
    if not 0 <= asked.max_drop < 100:
        raise ParameterError(f"max_drop is {asked.max_drop:g} points, must be in [0, 100)")
    items = read_items(
        asked.data,
        asked.labels,
        unlabelled=asked.unlabelled,
        columns=Columns(asked.groups, asked.confound),
    )
    interventions = _interventions(asked, items)
    predict = _predict(any_model(asked.model, device=asked.device), asked, items.labels)
    interrogation = Interrogation(
        predict,
        items.audio,
        items.labels,
        groups=items.groups,
        confound=items.confound,
        settings=_settings(asked, predict, items.labels),
    )
    found = interrogation.run(
        interventions,
        doses=_doses(interventions, asked.doses),
        budget=asked.budget,
        records=answers,
        progress=progress,
    )
    return InterrogatedFiles(asked, found, interrogation)


def save_interrogated(interrogated: InterrogatedFiles, page: Path) -> None:
    """Write the report.

    Parameters
    ----------
    interrogated : InterrogatedFiles
        Of `interrogate_files`.
    page : Path
        Written whole or not at all.

    Examples
    --------
    >>> save_interrogated(interrogate_files(asked), Path("horse.html"))  # doctest: +SKIP
    """
    asked = interrogated.asked
    report.save_interrogation(
        interrogated.found,
        page,
        hear=interrogated.hear if interrogated.can_be_heard else None,
        model=Path(asked.model).name,
        title=asked.data.resolve().name,
    )


def _interventions(asked: InterrogateFiles, items: JudgedItems) -> Sequence[Intervention]:
    if not items.dilations:
        if asked.dilation is not None:
            raise ParameterError(
                f"dilation is {asked.dilation:g}, and {asked.data} holds sounds",
                advice=Advice("change sounds with ", Argument("tempo")),
            )
        if not asked.interventions:
            raise ParameterError(
                "nothing is to be changed",
                advice=Advice(
                    "name one or more changes: ",
                    Argument("tempo", 6),
                    " or ",
                    Argument("highpass", 20),
                ),
            )
        return asked.interventions
    if asked.dilation is None or asked.interventions:
        told = ", ".join(f"{percent:g}" for percent in items.dilations)
        raise ParameterError(
            f"{asked.data} holds features, which have dilations only",
            advice=Advice("choose with ", Argument("dilation"), f" one of {told}"),
        )
    return [FeatureDilation(asked.dilation, available=items.dilations)]


def _predict(model: Any, asked: InterrogateFiles, labels: Sequence[str] | None) -> Any:
    """The model as a labeller; its outputs are those asked for, or those that are labels."""
    if not isinstance(model, ListeningModel):
        if asked.threshold is not None:
            raise ParameterError(
                f"threshold is {asked.threshold:g}, and {asked.model} gives labels or a score a "
                "class; let it draw the line itself"
            )
        return model
    if asked.dilation is not None:
        raise ParameterError(f"{asked.model} hears sounds; features need a FILE.py:FUNCTION")
    outputs = asked.classes
    if outputs is None and labels is not None and set(labels) <= set(model.output_names):
        outputs = tuple(sorted(set(labels)))
    classifier = SoundClassifier(model, classes=outputs, threshold=asked.threshold)
    names = classifier.label_names
    if unknown := sorted(set(labels or ()) - set(names)):
        raise ParameterError(
            f"label {unknown[0]!r} is none of the model's answers "
            f"({', '.join(names[:8])}{', ...' * (len(names) > 8)})",
            advice=Advice(
                "name folders or labels as these, or pass ", Argument("unlabelled", True)
            ),
        )
    return classifier


def _settings(
    asked: InterrogateFiles, predict: Any, labels: Sequence[str] | None
) -> InterrogationSettings:
    classes = None
    if not isinstance(predict, SoundClassifier):
        classes = asked.classes
        if classes is None and labels is not None and not hasattr(predict, "output_names"):
            classes = tuple(sorted(set(labels)))
    return replace(
        asked.settings, classes=classes, max_change=asked.max_drop / 100, system=asked.model
    )


def _doses(
    interventions: Sequence[Intervention], n_each: int | None
) -> Mapping[str, Sequence[float]] | None:
    """So many evenly spaced doses to each side, where there are sides."""
    if n_each is None:
        return None
    if n_each < 1:
        raise ParameterError(f"doses is {n_each}, must be >= 1")
    found = {}
    for one in interventions:
        if one.is_proportional:
            steps = [abs(one.dose) * k / n_each for k in range(1, n_each + 1)]
            low, high = one.bounds
            found[one.name] = [d for s in steps for d in (-s, s) if low <= d <= high]
    return found
