"""Configuration of an interrogation, and what it says of items, changes and doses."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from otoscope.errors import Advice, Argument, Ignored, ParameterError, refuse_ignored
from otoscope.intervene import (
    FeatureDilation,
    Interrogation,
    InterrogationSettings,
    Intervention,
)
from otoscope.intervene.interrogation.items import Features
from otoscope.progress import Progress
from otoscope.signal.audio.truncation import truncation
from otoscope.workflows.labelled_items import Columns, LabelledItems, read_items

__all__ = [
    "InterrogateConfig",
    "Way",
    "check_bound",
    "check_options",
    "doses_of",
    "merged",
    "prepared",
    "readable",
    "truncated_files",
]

Way = Literal["model", "outputs", "export", "import", "parts", "plan"]

_DECIDED = "which the export has decided"
_BATCHED = "which the batch has decided"
_UNASKED = "and an export asks no model"
_PLANNED = "and a plan asks no model"
_NO_LABELS = "and the answers are no labels"
_UNUSED: Mapping[Way, Mapping[str, str]] = {
    "model": {},
    "outputs": {
        **dict.fromkeys(("classes", "threshold", "padded", "metric", "confound"), _NO_LABELS),
        **dict.fromkeys(("budget", "transfer_to", "same_names"), _NO_LABELS),
    },
    "export": {
        **dict.fromkeys(("classes", "threshold", "padded", "metric"), _UNASKED),
        **dict.fromkeys(("max_drop", "min_score"), "and an export has no score"),
        **dict.fromkeys(("transfer_to", "same_names", "answers"), _UNASKED),
    },
    "plan": dict.fromkeys(
        (
            *("classes", "threshold", "padded", "min_score", "strict", "confound", "budget"),
            *("sr", "duration", "seed", "cache", "transfer_to", "same_names", "answers"),
        ),
        _PLANNED,
    ),
    "import": {
        **dict.fromkeys(("labels", "strict", "unlabelled", "groups", "confound"), _DECIDED),
        **dict.fromkeys(("doses", "budget", "dilation", "sr", "duration", "seed"), _DECIDED),
        **dict.fromkeys(("threshold", "padded"), "and the answers are there"),
        **dict.fromkeys(("transfer_to", "same_names", "answers"), "and no model is asked"),
        "cache": "and nothing is rendered",
    },
    "parts": {
        **dict.fromkeys(("classes", "threshold", "padded", "doses"), _BATCHED),
        **dict.fromkeys(("dilation", "sr", "duration", "seed"), _BATCHED),
        **dict.fromkeys(("budget", "transfer_to", "same_names"), "and no model is asked"),
        "answers": "and no model is asked",
        "cache": "and nothing is rendered",
    },
}
"""Settings that a way does not use, each with the reason."""


@dataclass(frozen=True)
class InterrogateConfig:
    """Model, data and interventions of an interrogation.

    Parameters
    ----------
    model : str, optional
        Name for `otoscope.models.load`: a zoo model, a bundle, or "FILE.py:FUNCTION", whose
        ``FUNCTION()`` returns a model or a function: Tensor [item, sample] (or [item, feature])
        to labels, or to scores [item, class]. The sampling rate of a function is its attribute
        ``sample_rate``, if it has one, else that of the first file. An export and an import
        need none.
    data : Path
        Folder with one sub-folder per class, folder of a dance corpus, or features (.npz); for an
        import, the folder of the export.
    interventions : tuple of Intervention
        Interventions on sounds, each with its greatest dose.
    dilation : float, optional
        Greatest time dilation of features, in percent.
    answers : {"labels", "pitch", "beats", "tempo", "key"}
        Kind of the answers: labels, pitch, beats, tempo or key. All but labels move with a change
        of pitch, tempo or beginning, and have a score of mir_eval, or for tempo whether it is
        within 4 %; see `otoscope.intervene.interrogate_outputs`.
    labels : Path, optional
        CSV table with the columns file, label and others. A label of another kind is a tempo in
        bpm, a key, or the name of a file beside the table: a time in seconds per line, and for
        pitch one in Hz.
    strict : bool
        Refuse data with sound files that cannot be read; otherwise they are skipped.
    unlabelled : bool
        Take the model's answers to the unchanged items as the correct labels.
    groups : str, optional
        Name of the column of groups.
    confound : tuple of str, optional
        Names of columns of numbers that may reveal the class.
    classes : tuple of str, optional
        Outputs that a model may answer with, or answers of a function in the order of its columns;
        default: the labels.
    threshold : float, optional
        Decision threshold for models with one output.
    padded : bool
        Append silence to sounds that are shorter than the model's excerpt, as a faster tempo makes
        those that are just as long.
    doses : int, optional
        Number of doses to each side of 0 for proportional interventions; default: three.
    budget : int
        Number of random combinations of changes to try per item.
    transfer_to : Path, optional
        Second data set with the same labels: the score on it, without what both hold.
    same_names : bool
        Files of one name in both data sets are different sounds.
    max_drop : float
        Largest tolerated fall of the score in points, in [0, 100).
    settings : InterrogationSettings
        Metric, least score, duration, seed, workers and cache; its classes and bound are those
        above.
    device : str
        Device of the model, "cpu" or "cuda".

    Examples
    --------
    >>> from otoscope.intervene import Tempo
    >>> InterrogateConfig("musicnn-mtt", Path("songs"), (Tempo(6),)).max_drop
    5.0
    """

    model: str | None
    data: Path
    interventions: tuple[Intervention, ...] = ()
    dilation: float | None = None
    answers: str = "labels"
    labels: Path | None = None
    strict: bool = False
    unlabelled: bool = False
    groups: str | None = None
    confound: tuple[str, ...] | None = None
    classes: tuple[str, ...] | None = None
    threshold: float | None = None
    padded: bool = False
    doses: int | None = None
    budget: int = 0
    transfer_to: Path | None = None
    same_names: bool = False
    max_drop: float = 5.0
    settings: InterrogationSettings = field(default_factory=InterrogationSettings)
    device: str = "cpu"


def check_options(config: InterrogateConfig, way: Way, given: Collection[str] = ()) -> None:
    """Refuse settings that a way does not use: a model, its outputs, an export, an import, a plan.

    Parameters
    ----------
    config : InterrogateConfig
        Settings.
    way : {"model", "outputs", "export", "import", "parts", "plan"}
        What is done.
    given : collection of str
        Names of the settings that a user gave, see `otoscope.errors.refuse_ignored`.

    Raises
    ------
    ParameterError
        If a setting that was given would change nothing.
    """
    if way in ("import", "parts") and config.interventions:
        change, decided = config.interventions[0], _DECIDED if way == "import" else _BATCHED
        raise ParameterError(f"the change {change} is named, {decided}; leave it out")
    ignored = [Ignored(name, reason) for name, reason in _UNUSED[way].items()]
    refuse_ignored([config, config.settings], ignored, given)


def check_bound(config: InterrogateConfig) -> None:
    """Refuse a largest drop that no score can have."""
    if not 0 <= config.max_drop < 100:
        raise ParameterError(f"max_drop is {config.max_drop:g} points, must be in [0, 100)")


def prepared(config: InterrogateConfig) -> tuple[LabelledItems, Sequence[Intervention]]:
    """Read the items, and choose the interventions on them."""
    check_bound(config)
    items = read_items(
        config.data,
        config.labels,
        unlabelled=config.unlabelled,
        columns=Columns(config.groups, config.confound),
    )
    interventions = _interventions(config, items)
    ignored = []
    if config.settings.cache is None:
        ignored.append(Ignored("cache_gb", "and there is no cache", (Argument("cache"),)))
    if items.dilations:
        of_sounds = ("sr", "duration", "cache")
        ignored = [Ignored(name, f"and {config.data} holds features") for name in of_sounds]
    if config.transfer_to is None:
        ignored.append(Ignored("same_names", "and no second data set is named"))
    if not any(intervention.is_proportional for intervention in interventions):
        ignored.append(Ignored("doses", "which none of these changes uses"))
    refuse_ignored([config, config.settings], ignored)
    return items, interventions


def readable(
    interrogation: Interrogation, config: InterrogateConfig, progress: Progress
) -> tuple[Interrogation, Mapping[str, ParameterError]]:
    """Leave out the files that cannot be read, or refuse them."""
    others, skipped = interrogation.readable(progress)
    if skipped and config.strict:
        name, first = next(iter(skipped.items()))
        n_files = len(interrogation.items.names)
        raise first.within(f"{len(skipped)} of {n_files} sound files cannot be read; {name}")
    return others, skipped


def truncated_files(items: LabelledItems, interrogation: Interrogation) -> dict[str, str]:
    """Describe the files that end before their headers say."""
    if isinstance(items.audio, Features):
        return {}
    files = interrogation.items.names
    return {file: text for file in files if (text := truncation(file))}


def _interventions(config: InterrogateConfig, items: LabelledItems) -> Sequence[Intervention]:
    if not items.dilations:
        if config.dilation is not None:
            raise ParameterError(
                f"dilation is {config.dilation:g}, and {config.data} holds sounds",
                advice=Advice("change sounds with ", Argument("tempo")),
            )
        if not config.interventions:
            raise ParameterError(
                "nothing is to be changed",
                advice=Advice(
                    "name one or more changes: ",
                    Argument("tempo", 6),
                    " or ",
                    Argument("highpass", 20),
                ),
            )
        return merged(config.interventions)
    if config.dilation is None or config.interventions:
        available = ", ".join(f"{percent:g}" for percent in items.dilations)
        raise ParameterError(
            f"{config.data} holds features, which have dilations only",
            advice=Advice("choose with ", Argument("dilation"), f" one of {available}"),
        )
    return [FeatureDilation(config.dilation, available=items.dilations)]


def merged(interventions: Sequence[Intervention]) -> list[Intervention]:
    """Keep one of those that differ in their doses alone, with the largest; see `doses_of`."""
    largest: dict[Intervention, Intervention] = {}
    for intervention in interventions:
        off = intervention.with_dose(0)
        if off not in largest or abs(intervention.dose) > abs(largest[off].dose):
            largest[off] = intervention
    return list(largest.values())


def doses_of(
    interventions: Sequence[Intervention],
    n_each: int | None,
    named: Sequence[Intervention] = (),
) -> Mapping[str, Sequence[float]] | None:
    """Space ``n_each`` doses evenly on each side of 0, for proportional interventions.

    Of others, the doses are all that were ``named``, such as several bit rates of a codec.
    """
    doses: dict[str, Sequence[float]] = {}
    for intervention in named:
        others = [one.dose for one in named if one.name == intervention.name]
        if len(others) > 1:
            doses[intervention.name] = sorted(set(others))
    if n_each is None:
        return doses or None
    if n_each < 1:
        raise ParameterError(f"doses is {n_each}, must be >= 1")
    for intervention in interventions:
        if intervention.is_proportional:
            steps = [abs(intervention.dose) * k / n_each for k in range(1, n_each + 1)]
            low, high = intervention.bounds
            doses[intervention.name] = [d for s in steps for d in (-s, s) if low <= d <= high]
    return doses
