"""Interrogate a system whose answers are pitches, beats, tempi or keys, on a folder of sounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from otoscope.errors import Advice, Argument, ParameterError
from otoscope.foreign import is_listed, read_text
from otoscope.intervene import InterrogationResult, SoundIntervention, interrogate_outputs
from otoscope.intervene.answers import (
    ANSWERS,
    AnswerKind,
    checked_answer,
    moved_answer,
    moves_of,
)
from otoscope.intervene.interrogation.items import Sounds, as_items
from otoscope.models.zoo.crepe import PitchTracker
from otoscope.progress import Progress
from otoscope.protocols import ListeningModel
from otoscope.signal.audio.truncation import truncation
from otoscope.workflows.interrogate.config import InterrogateConfig, doses_of, prepared
from otoscope.workflows.recording import load_identified_model

__all__ = ["OutputsResult", "outputs_of"]

_COLUMNS = {"beats": 1, "pitch": 2}  # of an annotation file


@dataclass(frozen=True, eq=False)
class OutputsResult:
    """Result with the files that were cut off, and those that were skipped."""

    result: InterrogationResult
    truncated: Mapping[str, str]
    skipped: Mapping[str, ParameterError]


def outputs_of(
    config: InterrogateConfig, *, answers: Path | None, progress: Progress
) -> OutputsResult:
    """Interrogate the model; a right answer moves as its kind does under each change.

    ``answers`` is the file of records. Labels are texts of the table: tempi in bpm, keys, or names
    of annotation files beside the table, with a time per line, and for pitch one in Hz.
    """
    if config.answers not in ANSWERS:
        kinds = ", ".join(["labels", *ANSWERS])
        raise ParameterError(f"answers is {config.answers!r}, must be one of {kinds}")
    kind = cast(AnswerKind, config.answers)
    if config.labels is None and not config.unlabelled:
        raise ParameterError(
            f"right answers of the kind {kind} are in no folder's name",
            advice=Advice("name a table with ", Argument("labels"), ", or ", _UNLABELLED),
        )
    items, named = prepared(config)
    if items.dilations:
        raise ParameterError(f"{config.data} holds features; a {kind} is heard in sounds only")
    references = None if items.labels is None else _references(kind, items.labels, config)
    interventions = _moving(kind, named, config)
    model, identity = load_identified_model(str(config.model), device=config.device)
    system = _system(kind, model, config)
    settings = replace(
        config.settings, max_change=config.max_drop / 100, system_code=identity["code"]
    )
    rate = settings.sr or getattr(system, "sample_rate", None)
    sounds = cast(Sounds, as_items(items.audio, sr=rate, cache=settings.render_cache()))
    sounds, kept, skipped = sounds.readable(progress)
    if skipped and config.strict:
        name, first = next(iter(skipped.items()))
        raise first.within(f"{len(skipped)} sound files cannot be read; {name}")
    result = interrogate_outputs(
        system,
        sounds,
        None if references is None else [references[index] for index in kept],
        interventions,
        score=kind,
        groups=None if items.groups is None else [items.groups[index] for index in kept],
        doses=doses_of(interventions, config.doses, config.interventions),
        settings=settings,
        records=answers,
        progress=progress,
    )
    truncated = {file: text for file in sounds.names if (text := truncation(file))}
    return OutputsResult(result, truncated, skipped)


_UNLABELLED = Argument("unlabelled", True)


def _moving(
    kind: AnswerKind, named: Sequence[Any], config: InterrogateConfig
) -> list[SoundIntervention]:
    """Let right answers move; refuse doses that no key can follow before anything is rendered."""
    moving = [replace(change, moves=moves_of(kind, change)) for change in named]
    doses = doses_of(moving, config.doses, config.interventions) or {}
    for change in moving:
        for dose in doses.get(change.name, change.doses) if kind == "key" else ():
            moved_answer("C major", change.with_dose(dose))
    return moving


def _system(kind: AnswerKind, model: Any, config: InterrogateConfig) -> Any:
    if not isinstance(model, ListeningModel):
        return model
    if kind == "pitch":
        return PitchTracker(model)
    raise ParameterError(
        f"{config.model} answers with no {kind}",
        advice=Advice(
            "make a FILE.py:FUNCTION that returns a function: sounds [item, sample] to one answer "
            "per item, named by ",
            Argument("model"),
        ),
    )


def _references(kind: AnswerKind, labels: Sequence[str], config: InterrogateConfig) -> list[Any]:
    """Read the right answers that a table names."""
    references = []
    folder = Path(config.labels or config.data).parent
    for label in labels:
        source: Any = folder / label if kind in _COLUMNS else label
        try:
            references.append(checked_answer(kind, _read(kind, source)))
        except ParameterError as err:
            raise err.within(f"{config.labels}: label {label!r}") from err
    return references


def _read(kind: AnswerKind, source: Any) -> Any:
    """Read an answer from a text or an annotation file: numbers by columns."""
    n_columns = _COLUMNS.get(kind)
    if n_columns is None:
        return source if kind == "key" else _number(source)
    if not is_listed(source):
        raise ParameterError(f"{source} is not there")
    rows = [line.replace(",", " ").split() for line in read_text(source).splitlines()]
    rows = [row for row in rows if row and not row[0].startswith("#")]
    if short := [row for row in rows if len(row) < n_columns]:
        raise ParameterError(f"{source} has a line {' '.join(short[0])!r}, must be a time and Hz")
    table = np.array([[_number(text) for text in row[:n_columns]] for row in rows], dtype=float)
    columns = tuple(table.reshape(-1, n_columns).T)
    return columns if kind == "pitch" else columns[0]


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ParameterError(
            f"{text!r} is no number; begin lines of text in an annotation file with #"
        ) from None
