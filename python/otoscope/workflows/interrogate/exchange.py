"""Interrogate a system that is not Python: export sounds, import predictions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from otoscope import records
from otoscope.documents import document
from otoscope.errors import ParameterError
from otoscope.intervene import (
    Export,
    Interrogation,
    SoundIntervention,
    Unasked,
    export_sounds,
    import_predictions,
)
from otoscope.intervene.interrogation.items import Features
from otoscope.progress import Progress, silent
from otoscope.signal.audio.truncation import truncated_note
from otoscope.workflows.interrogate.config import (
    InterrogateConfig,
    check_bound,
    check_options,
    doses_of,
    prepared,
    readable,
    truncated_files,
)
from otoscope.workflows.interrogate.interrogate import InterrogateResult

__all__ = ["ExportResult", "export_interrogation", "import_interrogation"]


@dataclass(frozen=True, eq=False)
class ExportResult:
    """Result of `export_interrogation`.

    Parameters
    ----------
    export : Export
        Exported sounds.
    truncated, skipped
        As of `InterrogateResult`.

    Examples
    --------
    >>> export_interrogation(config, Path("export")).n_sounds  # doctest: +SKIP
    336
    """

    export: Export
    truncated: Mapping[str, str] = field(default_factory=dict)
    skipped: Mapping[str, ParameterError] = field(default_factory=dict)

    @property
    def n_items(self) -> int:
        """Number of original sounds."""
        return len(self.export.key["items"])

    @property
    def n_sounds(self) -> int:
        """Number of sounds to answer."""
        return sum(map(len, self.export.ids.values()))

    @property
    def notes(self) -> tuple[str, ...]:
        """Reasons for caution with the sounds."""
        return tuple(truncated_note(self.truncated.values()))

    def to_dict(self) -> dict[str, Any]:
        """Return numbers and settings in JSON's types."""
        return document(
            "otoscope.InterrogationExportSummary",
            1,
            {
                "folder": self.export.folder,
                "items": self.n_items,
                "sounds": self.n_sounds,
                "sr": self.export.key["sr"],
                "duration": self.export.key["duration"],
                "skipped": {name: str(reason) for name, reason in self.skipped.items()},
                "truncated": dict(self.truncated),
                "versions": records.versions(),
            },
        )


def export_interrogation(
    config: InterrogateConfig, folder: Path, *, progress: Progress = silent
) -> ExportResult:
    """Write the sounds that a system outside Python is to be asked about.

    Parameters
    ----------
    config : InterrogateConfig
        Configuration; its model, metric and bounds do not matter here.
    folder : Path
        Folder to write; must not exist, or be empty.
    progress : bool or callable (items, description) -> iterable
        Progress display over rounds of items.

    Returns
    -------
    ExportResult
        The export, and the files that were skipped.

    Examples
    --------
    >>> export_interrogation(config, Path("export"))  # doctest: +SKIP
    """
    if config.model is not None:
        raise ParameterError(f"model is {config.model}; an export asks no model, leave it out")
    check_options(config, "export")
    items, interventions = prepared(config)
    if isinstance(items.audio, Features):
        raise ParameterError(f"{config.data} holds features; only sounds can be exported")
    interrogation = Interrogation(
        Unasked("export"),
        items.audio,
        items.labels,
        groups=items.groups,
        confound=items.confound,
        settings=replace(config.settings, min_score=0.0),
    )
    interrogation, skipped = readable(interrogation, config, progress)
    export = export_sounds(
        interrogation,
        folder,
        [i for i in interventions if isinstance(i, SoundIntervention)],
        doses=doses_of(interventions, config.doses, config.interventions),
        budget=config.budget,
        title=config.data.resolve().name,
        progress=progress,
    )
    return ExportResult(export, truncated_files(items, interrogation), skipped)


def import_interrogation(config: InterrogateConfig, predictions: str | Path) -> InterrogateResult:
    """Judge a system by its predictions for exported sounds.

    Parameters
    ----------
    config : InterrogateConfig
        Its ``data`` is the folder of the export; classes, largest fall, metric and least score
        apply. The export decides the others, which must not be given.
    predictions : str or Path
        CSV table, see `otoscope.intervene.import_predictions`.

    Returns
    -------
    InterrogateResult
        The same as of `interrogate_files` with a model that gives these answers.

    Raises
    ------
    ParameterError
        If a setting is wrong, or the export or the table is absent or cannot be used.

    Examples
    --------
    >>> config = InterrogateConfig(None, Path("export"))
    >>> import_interrogation(config, Path("predictions.csv"))  # doctest: +SKIP
    """
    check_bound(config)
    check_options(config, "import")
    if not Path(predictions).is_file():
        raise ParameterError(
            f"{predictions} is not there; name a table of predictions, or the folder or URI that "
            "otoscope batch interrogate wrote to"
        )
    result, interrogation = import_predictions(
        predictions,
        config.data,
        settings=replace(
            config.settings,
            classes=config.classes,
            max_change=config.max_drop / 100,
        ),
    )
    return InterrogateResult(config, result, interrogation)
