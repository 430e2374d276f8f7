"""Interrogate a model on a folder of sounds or features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FunctionType
from typing import Any

from otoscope import records, report
from otoscope.errors import Advice, Argument, ParameterError
from otoscope.intervene import (
    Interrogation,
    InterrogationResult,
    InterrogationSettings,
    Intervention,
    TransferResult,
)
from otoscope.intervene.interrogation.exchange import Exported
from otoscope.intervene.interrogation.items import Features
from otoscope.progress import Progress, silent
from otoscope.protocols import ListeningModel, SoundClassifier
from otoscope.protocols.listening import are_unnamed, named_outputs
from otoscope.report.interrogation.text import transfer_text
from otoscope.signal.audio.truncation import truncated_note
from otoscope.workflows.interrogate.config import (
    InterrogateConfig,
    doses_of,
    prepared,
    readable,
    truncated_files,
)
from otoscope.workflows.interrogate.outputs import outputs_of
from otoscope.workflows.labelled_items import read_items
from otoscope.workflows.recording import load_identified_model

__all__ = [
    "InterrogateResult",
    "interrogate_files",
    "save_interrogate_page",
    "settings_of",
    "system_of",
]


@dataclass(frozen=True, eq=False)
class InterrogateResult:
    """Result of `interrogate_files`, with the interrogation that renders its pairs of sounds.

    Parameters
    ----------
    config : InterrogateConfig
        Configuration.
    result : InterrogationResult
        Result of the interrogation.
    interrogation : Interrogation or None
        Interrogation that was run; None if the answers are no labels.
    truncated : dict of str to str
        What lacks in each file that was cut off, see `signal.truncation`.
    skipped : dict of str to ParameterError
        Why each file was left out: it cannot be read, or the process that worked on it was killed.
    assumed_columns : tuple of str or None
        Names that were taken for the columns of the scores of a function that names none: the
        classes in alphabetical order.
    transfer : TransferResult or None
        Scores on the data and on a second data set, if one is named.
    durations : (float, float) or None
        Shortest and longest analysed duration, in seconds, if each file was analysed by itself.
    is_finished : bool
        False if the answers are those of a batch that is still running, or was killed.

    Examples
    --------
    >>> interrogate_files(config).result.is_broken  # doctest: +SKIP
    True
    """

    config: InterrogateConfig
    result: InterrogationResult
    interrogation: Interrogation | None
    truncated: Mapping[str, str] = field(default_factory=dict)
    skipped: Mapping[str, ParameterError] = field(default_factory=dict)
    assumed_columns: tuple[str, ...] | None = None
    transfer: TransferResult | None = None
    durations: tuple[float, float] | None = None
    is_finished: bool = True

    @property
    def notes(self) -> tuple[str, ...]:
        """Reasons for caution with the sounds, and with columns without names."""
        notes = truncated_note(self.truncated.values())
        if self.config.padded:
            notes.append("sounds shorter than the model's excerpt were filled up with silence")
        if self.assumed_columns:
            columns = (f"{i} is {name}" for i, name in enumerate(self.assumed_columns))
            notes.append(
                "the model names no columns of its scores; they were taken for the classes in "
                f"alphabetical order ({', '.join(columns)}); name others as classes, "
                "or as output_names of the model"
            )
        if self.durations and self.durations[0] < self.durations[1]:
            low, high = self.durations
            notes.append(
                f"each file was analysed by itself, for as long as the changes leave of it: "
                f"{low:.3g} to {high:.3g} s"
            )
        if not self.is_finished:
            notes.append(
                "the batch is running, or was killed: the verdict is over the files that are done"
            )
        if self.transfer is not None:
            notes += transfer_text(self.transfer, str(self.config.transfer_to))
        return tuple(notes)

    def to_dict(self) -> dict[str, Any]:
        """Return configuration, result with its sentences, and versions in JSON's types."""
        config = {
            **vars(self.config),
            "interventions": [i.settings for i in self.config.interventions],
        }
        record = report.interrogation_record(self.result)
        return {
            **record,
            "skipped": {name: str(reason) for name, reason in self.skipped.items()},
            "truncated": dict(self.truncated),
            "transfer": None if self.transfer is None else self.transfer.to_dict(),
            "config": records.to_plain(config),
            "versions": records.versions(),
        }


def interrogate_files(
    config: InterrogateConfig,
    *,
    answers: Path | None = None,
    progress: Progress = silent,
) -> InterrogateResult:
    """Interrogate a model on every item, unchanged and changed.

    Sound files that cannot be read are skipped and listed in the result.

    Parameters
    ----------
    config : InterrogateConfig
        Configuration.
    answers : Path, optional
        JSON Lines file that answers are written to as they come; a repeated run continues there.
    progress : bool or callable (items, description) -> iterable
        True shows a bar over the items of each round.

    Returns
    -------
    InterrogateResult
        Result of the interrogation.

    Raises
    ------
    ParameterError
        If a setting is wrong, an item too short, a label not an answer of the model, or there are
        too few items or classes.

    Examples
    --------
    >>> interrogate_files(config).result.verdict.kind  # doctest: +SKIP
    'horse'
    """
    if config.model is None:
        raise ParameterError(
            "no model is named", advice=Advice("name one with ", Argument("model"))
        )
    if config.answers != "labels":
        outputs = outputs_of(config, answers=answers, progress=progress)
        return InterrogateResult(config, outputs.result, None, outputs.truncated, outputs.skipped)
    items, interventions = prepared(config)
    model, identity = load_identified_model(config.model, device=config.device)
    predict, code = system_of(model, config, items.labels), identity["code"]
    if not isinstance(model, ListeningModel | FunctionType):  # objects of one class may differ
        code += config.model.rpartition(":")[2]
    interrogation = Interrogation(
        predict,
        items.audio,
        items.labels,
        groups=items.groups,
        confound=items.confound,
        settings=replace(settings_of(config, predict, items.labels), system_code=code),
    )
    interrogation, skipped = readable(interrogation, config, progress)
    result = interrogation.run(
        interventions,
        doses=doses_of(interventions, config.doses, config.interventions),
        budget=config.budget,
        records=answers,
        progress=progress,
    )
    if result.skipped and config.strict:
        name, first = next(iter(result.skipped.items()))
        raise first.within(name)
    is_assumed = config.classes is None and _has_unnamed_columns(predict, items.labels)
    if is_assumed:
        _check_columns(result)
    return InterrogateResult(
        config,
        result,
        interrogation,
        truncated_files(items, interrogation),
        {**skipped, **result.skipped},
        assumed_columns=result.columns if is_assumed else None,
        transfer=_transferred(interrogation, config, interventions, progress),
    )


def save_interrogate_page(interrogated: InterrogateResult, page: Path) -> None:
    """Write the report page of an interrogation, completely or not at all.

    Parameters
    ----------
    interrogated : InterrogateResult
        Result of `interrogate_files`.
    page : Path
        Path of the HTML file.

    Examples
    --------
    >>> save_interrogate_page(interrogate_files(config), Path("horse.html"))  # doctest: +SKIP
    """
    config, interrogation = interrogated.config, interrogated.interrogation
    has_sounds = config.dilation is None and interrogated.result.render_pair is not None
    title = config.data.resolve().name
    if interrogation and isinstance(interrogation.items, Exported):
        title = interrogation.items.title
    report.save_interrogation(
        interrogated.result,
        page,
        render_pair=interrogation.render_pair if interrogation and has_sounds else None,
        model=str(interrogated.result.settings["system"]),
        title=title,
        notes=[f"{note}." for note in interrogated.notes],
        skipped=interrogated.skipped,
    )


def _transferred(
    interrogation: Interrogation,
    config: InterrogateConfig,
    interventions: Sequence[Intervention],
    progress: Progress,
) -> TransferResult | None:
    """Score the model on the second data set, if one is named."""
    if config.transfer_to is None:
        return None
    others = read_items(config.transfer_to)
    audio: Any = others.audio
    if isinstance(audio, Features):
        audio = audio.at(others.dilations.index(0))
    return interrogation.transfer(
        audio,
        others.labels or (),
        groups=others.groups,
        by_name=not config.same_names,
        unchanged=interventions[0] if config.dilation is not None else None,
        progress=progress,
    )


def system_of(model: Any, config: InterrogateConfig, labels: Sequence[str] | None) -> Any:
    """Restrict a listening model to the outputs asked for, or to those that are labels."""
    if not isinstance(model, ListeningModel):
        if config.padded:
            raise ParameterError(
                f"padded is True, and {config.model} has no excerpts; append silence in it"
            )
        if config.threshold is not None:
            raise ParameterError(
                f"threshold is {config.threshold:g}, and {config.model} returns labels or one "
                "score per class; apply the threshold in it"
            )
        return model
    if config.dilation is not None:
        raise ParameterError(f"{config.model} hears sounds; features need a FILE.py:FUNCTION")
    outputs = config.classes
    if outputs is not None and are_unnamed(model.output_names):
        named_outputs(model, outputs)
    if outputs is None and labels is not None and set(labels) <= set(model.output_names):
        outputs = tuple(sorted(set(labels)))
    classifier = SoundClassifier(
        model, classes=outputs, threshold=config.threshold, padded=config.padded
    )
    names = classifier.label_names
    if unknown := sorted(set(labels or ()) - set(names)):
        raise ParameterError(
            f"label {unknown[0]!r} is none of the model's answers "
            f"({', '.join(names[:8])}{', ...' * (len(names) > 8)})",
            advice=Advice("name the columns in their order with ", Argument("classes"))
            if are_unnamed(model.output_names)
            else Advice(
                "name folders or labels as these, or choose ", Argument("unlabelled", True)
            ),
        )
    return classifier


def settings_of(
    config: InterrogateConfig, predict: Any, labels: Sequence[str] | None
) -> InterrogationSettings:
    """Return the settings of the interrogation of a system, as `system_of` made it."""
    classes = config.classes
    if isinstance(predict, SoundClassifier):
        classes = None
    elif classes is None and _has_unnamed_columns(predict, labels):
        classes = tuple(sorted(set(labels or ())))
    return replace(config.settings, classes=classes, max_change=config.max_drop / 100)


def _has_unnamed_columns(predict: Any, labels: Sequence[str] | None) -> bool:
    """Whether the columns of scores, if a system returns scores, are taken for the classes."""
    is_named = isinstance(predict, SoundClassifier) or hasattr(predict, "output_names")
    return labels is not None and not is_named


def _check_columns(result: InterrogationResult) -> None:
    """Raise ParameterError if another order of unnamed columns fits better."""
    if result.columns is None or result.renaming is None:
        return
    order = [result.renaming.get(name, name) for name in result.columns]
    raise ParameterError(
        f"the columns of the scores were taken for {', '.join(result.columns)}, the classes in "
        f"alphabetical order, and with {', '.join(order)} more answers are right",
        advice=Advice(
            "name the columns in their order with ", Argument("classes"), f" {','.join(order)}"
        ),
    )
