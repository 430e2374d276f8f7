"""Interrogation of systems that are not Python: sounds are exported, predictions are imported.

The folder of an export holds ``sounds/``, whose names say nothing of item and change, the manifest
``manifest.csv`` (id, file) to answer, and ``key.json``, which stays with the examiner: it relates
the names to items and changes, so that an import needs nothing else.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from otoscope.documents import document, read_document, require_types
from otoscope.errors import ParameterError
from otoscope.foreign import read_json, refusing
from otoscope.intervene.interrogation.conditions import ConditionGrid, make_grid
from otoscope.intervene.interrogation.interrogation import Interrogation
from otoscope.intervene.interrogation.items import Seeded, Sounds
from otoscope.intervene.interrogation.plan import Plan
from otoscope.intervene.interrogation.predictions import read_predictions
from otoscope.intervene.interrogation.result import InterrogationResult
from otoscope.intervene.interrogation.session import AnswerLog, InterrogationSettings
from otoscope.intervene.registry import all_settings, from_settings
from otoscope.intervene.sound import SoundIntervention
from otoscope.progress import Progress, silent
from otoscope.records import new_folder, to_json, write_text
from otoscope.signal.audio.files import decode, write_audio

__all__ = ["Export", "Exported", "Unasked", "export_sounds", "import_predictions", "read_export"]

_KIND, _VERSION = "otoscope.InterrogationExport", 1
_KEY, _MANIFEST, _SOUNDS = "key.json", "manifest.csv", "sounds"
_TYPES: dict[str, Any] = {
    "title": str,
    "items": list,
    "labels": list | None,
    "groups": list | None,
    "confound": list | None,
    "lengths": list,
    "content": str,
    "sr": float,
    "duration": float,
    "seed": int,
    "budget": int,
    "interventions": list,
    "doses": dict,
    "rounds": list,
}
_TIME = (0, 0)  # of all files: theirs would tell the order in which they were made


class Unasked:
    """Stand for a system that is not here.

    Parameters
    ----------
    name : str
        Name of the system in records.

    Examples
    --------
    >>> Unasked("tagger").name
    'tagger'
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, batch: Tensor) -> list[str]:
        """Refuse to answer."""
        raise ParameterError(f"{self.name} answers by a file; nothing can be asked")


@dataclass(frozen=True, eq=False)
class Export:
    """Exported sounds as `read_export` reads them.

    Parameters
    ----------
    folder : Path
        Folder of the export.
    key : mapping
        Items, labels, groups, confound, changes and settings of the interrogation.
    interventions : tuple of SoundIntervention
        Changes, each with its greatest dose.
    ids : mapping of (int, str) to list of str
        Names of the sounds by index of the item and round.

    Examples
    --------
    >>> read_export("export").ids[0, "items"][:1]  # doctest: +SKIP
    ['s6b0e2a9c1d3f4a57']
    """

    folder: Path
    key: Mapping[str, Any]
    interventions: tuple[SoundIntervention, ...]
    ids: Mapping[tuple[int, str], Sequence[str]]

    def path(self, name: str) -> Path:
        """Return the file of a sound."""
        return self.folder / _SOUNDS / f"{name}.wav"


@dataclass(eq=False)
class _Writer:
    """Write the renderings of items in place of answers to them."""

    folder: Path
    sr: float
    salt: str
    by_scores: bool = False
    ids: list[dict[str, Any]] = field(default_factory=list)

    def label_item(
        self, renderings: Tensor, item: int, *, round_name: str, max_batch: int
    ) -> list[str]:
        """Write the renderings of an item; nothing has been answered yet."""
        names = [self._name(item, round_name, i) for i in range(len(renderings))]
        for name, y in zip(names, renderings, strict=True):
            path = self.folder / f"{name}.wav"
            write_audio(path, y, sr=self.sr, subtype="FLOAT")
            os.utime(path, _TIME)
        self.ids.append({"item": item, "round": round_name, "ids": names})
        return ["?"] * len(names)

    def _name(self, item: int, round_name: str, rendering: int) -> str:
        place = to_json([self.salt, item, round_name, rendering])
        return f"s{hashlib.blake2b(place.encode(), digest_size=8).hexdigest()}"


def export_sounds(
    interrogation: Interrogation,
    folder: str | PathLike[str],
    interventions: Iterable[SoundIntervention],
    *,
    doses: Mapping[str, Sequence[float]] | None = None,
    budget: int = 0,
    title: str = "sounds",
    progress: Progress = silent,
) -> Export:
    """Write all sounds that a system is to be asked about, unchanged and changed.

    Parameters
    ----------
    interrogation : Interrogation
        Interrogation of files or sounds; its system, for example ``Unasked("tagger")``, is not
        asked.
    folder : str or PathLike
        Folder that does not exist or is empty; written completely or not at all.
    interventions, doses, budget
        As for `Interrogation.run`. All tries are written: which of them are needed depends on
        answers.
    title : str
        Name of the data in reports.
    progress : Progress
        As for `Interrogation.run`.

    Returns
    -------
    Export
        The export, as `read_export` reads it.

    Raises
    ------
    ParameterError
        If the items are features, an intervention is not one of this package, the sampling rate is
        no whole number, the folder is not empty, or anything that `Interrogation.run` refuses.

    Examples
    --------
    >>> from otoscope.intervene import Interrogation, Tempo
    >>> interrogation = Interrogation(Unasked("tagger"), files, labels)  # doctest: +SKIP
    >>> export_sounds(interrogation, "export", [Tempo(6)])  # doctest: +SKIP
    """
    items = interrogation.items
    if not isinstance(items, Sounds):
        raise ParameterError("the items are features; only sounds can be exported")
    interventions = tuple(interventions)
    for intervention in interventions:
        if from_settings(all_settings(intervention)) != intervention:
            raise ParameterError(
                f"{intervention} cannot be read back from an export; use interventions of otoscope"
            )
    plan = interrogation.plan(interventions, doses, budget=budget, progress=progress)
    seed, content = interrogation.settings.seed, plan.depends_on["content"]
    with new_folder(Path(folder)) as draft:
        (draft / _SOUNDS).mkdir()
        writer = _Writer(draft / _SOUNDS, items.sr, f"{seed} {content}")
        every_try = replace(plan, goals=frozenset(["any"]))
        with AnswerLog(None, {}, seed=seed) as log:
            asked = every_try.asked(items, writer, log, None, interrogation.settings, progress)
        for item, reason in asked.lost.items():  # an export has all sounds or is none
            raise reason.within(items.names[item]) from reason
        names = sorted(name for entry in writer.ids for name in entry["ids"])
        rows = "".join(f"{name},{_SOUNDS}/{name}.wav\n" for name in names)
        write_text(draft / _MANIFEST, f"id,file\n{rows}")
        key = _key(interrogation, plan, interventions, title, writer.ids)
        write_text(draft / _KEY, to_json(document(_KIND, _VERSION, key), indent=1) + "\n")
    return read_export(folder)


def _key(
    interrogation: Interrogation,
    plan: Plan,
    interventions: Sequence[SoundIntervention],
    title: str,
    rounds: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    grid, confound = plan.grid, interrogation.confound
    return {
        "title": title,
        "items": interrogation.items.names,
        "labels": interrogation.labels,
        "groups": interrogation.groups,
        "confound": confound if confound is None else [list(map(float, _row(c))) for c in confound],
        "lengths": plan.lengths,
        "content": plan.depends_on["content"],
        "sr": plan.depends_on["sr"],
        "duration": plan.duration,
        "seed": interrogation.settings.seed,
        "budget": plan.budget,
        "interventions": [all_settings(intervention) for intervention in interventions],
        "doses": {
            intervention.name: [grid.conditions[column].dose for column in grid.columns(curve)]
            for curve, intervention in enumerate(interventions)
        },
        "rounds": rounds,
    }


def _row(values: Any) -> Sequence[float]:
    return values if hasattr(values, "__len__") else [values]


def read_export(folder: str | PathLike[str]) -> Export:
    """Read the key of an export.

    Parameters
    ----------
    folder : str or PathLike
        Folder that `export_sounds` wrote.

    Returns
    -------
    Export
        Items, changes, settings and names of the sounds.

    Raises
    ------
    ParameterError
        If the folder holds no export, or its key is damaged.

    Examples
    --------
    >>> read_export("export").interventions  # doctest: +SKIP
    (Tempo(percent=6, stretcher='otoscope'),)
    """
    folder = Path(folder)
    path = folder / _KEY
    if not path.is_file():
        raise ParameterError(
            f"{folder} holds no {_KEY}: give the folder that otoscope interrogate --export wrote"
        )
    key, _ = read_document(read_json(path), _KIND, _VERSION, name="export")
    require_types(key, _TYPES, str(path))
    with refusing(path, "is damaged"):
        interventions = tuple(from_settings(settings) for settings in key["interventions"])
        ids = {
            (int(entry["item"]), str(entry["round"])): list(map(str, entry["ids"]))
            for entry in key["rounds"]
        }
        _require_whole(key, interventions, ids)
    return Export(folder, key, interventions, ids)


def _require_whole(
    key: Mapping[str, Any],
    interventions: Sequence[SoundIntervention],
    ids: Mapping[tuple[int, str], Sequence[str]],
) -> None:
    """Raise ParameterError unless every item has a name for every rendering, each once."""
    n_items, names = len(key["items"]), [name for of_item in ids.values() for name in of_item]
    n_conditions = len(_grid(interventions, key).conditions)
    columns = [key[name] for name in ("labels", "groups", "confound", "lengths")]
    if any(column is not None and len(column) != n_items for column in columns):
        raise ParameterError(f"it has {n_items} items, and columns of other lengths")
    if [len(ids.get((item, "items"), ())) for item in range(n_items)] != [n_conditions] * n_items:
        raise ParameterError(f"it has not {n_conditions} sounds for each of {n_items} items")
    if len(set(names)) != len(names):
        raise ParameterError("it names a sound twice")


def _grid(interventions: Sequence[SoundIntervention], key: Mapping[str, Any]) -> ConditionGrid:
    kind: Any = SoundIntervention
    return make_grid(interventions, key["doses"], kind=kind)


class Exported(Sounds):
    """Sounds of an export, which are rendered already."""

    def __init__(self, export: Export) -> None:
        super().__init__((), sr=export.key["sr"])
        self.names = tuple(map(str, export.key["items"]))
        self.title: str = export.key["title"]
        self._export = export
        grid = _grid(export.interventions, export.key)
        self._columns = {str(c.intervention): i for i, c in enumerate(grid.conditions) if i}

    def survey(self, progress: Progress = silent) -> tuple[list[int], str]:
        """Return the lengths and the hash of the original sounds."""
        return self._export.key["lengths"], self._export.key["content"]

    def rendered(
        self, index: int, interventions: Sequence[Seeded], duration: float | None
    ) -> Tensor:
        """Read the sounds of an item under interventions of the grid."""
        names = self._export.ids[index, "items"]
        columns = [self._columns[str(i)] if i.dose else 0 for i, _ in interventions]
        return torch.stack([decode(self._export.path(names[column]))[0] for column in columns])


def import_predictions(
    predictions: str | PathLike[str],
    export: Export | str | PathLike[str] | None = None,
    *,
    settings: InterrogationSettings | None = None,
) -> tuple[InterrogationResult, Interrogation]:
    """Judge a system by its predictions for exported sounds.

    Parameters
    ----------
    predictions : str or PathLike
        CSV table: columns ``id`` and ``label``, or ``id`` and one column of scores per class, of
        which the largest is the answer. A column ``file`` is ignored.
    export : Export, str or PathLike, optional
        The export or its folder; default: the folder of ``predictions``.
    settings : InterrogationSettings, optional
        Metric, classes, largest change, least score and name of the system; rate, duration and seed
        are those of the export.

    Returns
    -------
    result : InterrogationResult
        The same as of `Interrogation.run` with a function that gives these answers.
    interrogation : Interrogation
        Its `render_pair` reads the exported sounds.

    Raises
    ------
    ParameterError
        If a prediction is missing, doubled, unknown, not a label or NaN; or the export is damaged.

    Examples
    --------
    >>> result, _ = import_predictions("export/predictions.csv")  # doctest: +SKIP
    >>> result.verdict.kind  # doctest: +SKIP
    'horse'
    """
    path = Path(predictions)
    if not isinstance(export, Export):
        export = read_export(path.parent if export is None else export)
    key, settings = export.key, settings or InterrogationSettings()
    settings = replace(
        settings,
        **{name: key[name] for name in ("sr", "duration", "seed")},
        system=settings.system or path.stem,
    )
    interrogation = Interrogation(
        Unasked(str(settings.system)),
        Exported(export),
        key["labels"],
        groups=key["groups"],
        confound=key["confound"],
        settings=settings,
    )
    classes = settings.classes or (key["labels"] and sorted(set(interrogation.labels or ())))
    names = [name for of_item in export.ids.values() for name in of_item]
    answers = read_predictions(path, names, classes=classes)
    result = interrogation.run(
        export.interventions,
        doses=key["doses"],
        budget=key["budget"],
        answers={
            place: [answers[name] for name in of_item] for place, of_item in export.ids.items()
        },
    )
    return result, interrogation
