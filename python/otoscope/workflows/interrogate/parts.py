"""The verdict over all files of a batch of interrogations, from the rows of its parts."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from otoscope.errors import Advice, Argument, ParameterError
from otoscope.foreign import refusing
from otoscope.intervene import Flip, Interrogation, SoundIntervention, Unasked
from otoscope.intervene.interrogation.conditions import ConditionGrid, make_grid
from otoscope.intervene.interrogation.items import Sounds
from otoscope.intervene.interrogation.session import curve_seed
from otoscope.intervene.registry import from_settings
from otoscope.progress import Progress, silent
from otoscope.records.parts import is_finished, read_parts
from otoscope.workflows.interrogate.answers import file_seed
from otoscope.workflows.interrogate.config import InterrogateConfig, check_bound, check_options
from otoscope.workflows.interrogate.interrogate import InterrogateResult
from otoscope.workflows.labelled_items import Columns, metadata_of, read_table

__all__ = ["interrogate_parts"]

_ROW = ("file", "answer", "change", "dose", "is_placebo")  # columns that differ within a file
_FILE = ("error", "duration", "sound", "others")
_RATE = 192_000.0  # a grid finer than that of any sound; nothing is rendered
_ENDLESS = 1 << 50  # samples; durations are those of the rows


def interrogate_parts(config: InterrogateConfig, uri: str) -> InterrogateResult:
    """Give the verdict over all files of ``otoscope batch interrogate``.

    Parameters
    ----------
    config : InterrogateConfig
        Labels, groups, confound, metric and bounds apply. Labels are, in this order, those of the
        table ``labels``, those of the manifest's column "label", and the first folders of the
        files. The batch has decided model, changes, doses and seed, which must not be given.
    uri : str
        Folder or URI that the batch wrote to.

    Returns
    -------
    InterrogateResult
        The same as of `interrogate_files`, without sounds. Each file was analysed for a duration of
        its own. Files with an error are skipped; those of which there is no part do not count.

    Raises
    ------
    ParameterError
        If there are no parts of interrogations, a label is missing, no answer is a label, or there
        are too few items or classes.

    Examples
    --------
    >>> interrogate_parts(InterrogateConfig(None, Path()), "parts")  # doctest: +SKIP
    """
    check_bound(config)
    check_options(config, "parts")
    batch = _read(uri)
    names, columns = _items(config, batch, uri)
    skipped = {name: ParameterError(batch.errors[name]) for name in names if name in batch.errors}
    if skipped and config.strict:
        name, first = next(iter(skipped.items()))
        raise first.within(f"{len(skipped)} of {len(names)} files have an error; {name}")
    kept = [i for i, name in enumerate(names) if name not in skipped]
    names = [names[i] for i in kept]
    labels, groups, confound = (c and [c[i] for i in kept] for c in columns)
    if not names:
        name, first = next(iter(skipped.items()))
        raise first.within(f"none of {len(skipped)} files has answers; {name}")
    answers = {(i, "items"): batch.answers[name] for i, name in enumerate(names)}
    given = {answer for of_item in answers.values() for answer in of_item}
    if labels and not given.intersection(labels):
        raise ParameterError(
            f"no answer is a label: {uri} answers {', '.join(sorted(given)[:8])}, and labels are "
            f"{', '.join(sorted(set(labels))[:8])}"
        )
    durations = [batch.durations[name] for name in names]
    interrogation = Interrogation(
        Unasked(batch.settings["name"]),
        _Answered(names, batch.digest(names)),
        labels,
        groups=groups,
        confound=confound,
        settings=replace(
            config.settings,
            classes=tuple(sorted(given.union(labels or ()))),
            max_change=config.max_drop / 100,
            seed=batch.settings["seed"],
            duration=min(durations),
        ),
    )
    result = interrogation.run(batch.grid.interventions, doses=batch.doses, answers=answers)
    result = replace(
        result,
        render_pair=None,
        settings={**result.settings, "sr": batch.settings["sr"]},
        duration=min(durations) if min(durations) == max(durations) else None,
        pairs=tuple(batch.flip(flip) for flip in result.pairs),
    )
    span = (min(durations), max(durations))
    return InterrogateResult(
        config,
        result,
        interrogation,
        skipped=skipped,
        durations=span,
        is_finished=batch.is_finished,
    )


@dataclass(frozen=True)
class _Batch:
    """Rows of the parts by file: answers in the order of the grid, errors, and what is known."""

    settings: Mapping[str, Any]
    doses: Mapping[str, Sequence[float]]
    grid: ConditionGrid
    answers: Mapping[str, list[str]]
    errors: Mapping[str, str]
    durations: Mapping[str, float]
    sounds: Mapping[str, str]
    others: Mapping[str, Mapping[str, Any]]
    is_finished: bool

    def digest(self, names: Sequence[str]) -> str:
        """Hash the digests of the files."""
        return hashlib.sha256(" ".join(self.sounds[name] for name in names).encode()).hexdigest()

    def flip(self, flip: Flip) -> Flip:
        """Put the seed and the duration of the file in place of those of an interrogation."""
        curve = [i.name for i in self.grid.interventions].index(flip.intervention.name)
        seed = curve_seed(file_seed(self.settings["seed"], flip.name), 0, curve)
        return replace(flip, seed=seed, duration=self.durations[flip.name])


class _Answered(Sounds):
    """Sounds that have been answered, and are not at hand."""

    def __init__(self, names: Sequence[str], digest: str) -> None:
        super().__init__((), sr=_RATE, names=names)
        self._digest = digest

    def survey(self, progress: Progress = silent) -> tuple[list[int], str]:
        """Return lengths that any change leaves enough of, and the hash of the files."""
        return [_ENDLESS] * len(self.names), self._digest


def _read(uri: str) -> _Batch:
    """Read the rows of all parts, each file once."""
    finished = is_finished(uri)  # before the parts are: it may end meanwhile
    try:
        table = read_parts(uri, columns=[*_ROW, *_FILE, "settings"])
    except ParameterError as err:
        if "columns has" not in err.message:
            raise
        raise ParameterError(f"{uri} holds no parts of otoscope batch interrogate") from err
    settings = json.loads(table["settings"][0].as_py())
    with refusing(uri, "holds settings of another version"):
        interventions = tuple(from_settings(made) for made in settings["interventions"])
        doses = dict(settings["doses"])
    kind: Any = SoundIntervention
    grid = make_grid(interventions, doses, kind=kind)
    answers: dict[str, dict[tuple[Any, ...], str]] = {}
    for file, answer, *condition in zip(*(table[name].to_pylist() for name in _ROW), strict=True):
        answers.setdefault(file, {})[tuple(condition)] = sys.intern(answer or "")
    last = dict(zip(table["file"].to_pylist(), range(len(table)), strict=True))
    about = table.select(_FILE).take(list(last.values())).to_pydict()
    error, duration, sound, others = (dict(zip(last, about[name], strict=True)) for name in _FILE)
    errors = {file: reason for file, reason in error.items() if reason}
    return _Batch(
        settings,
        doses,
        grid,
        {
            file: _in_order(file, of_file, grid, uri)
            for file, of_file in answers.items()
            if file not in errors
        },
        errors,
        duration,
        sound,
        {file: json.loads(text or "{}") for file, text in others.items()},
        finished,
    )


def _in_order(
    file: str, answers: Mapping[tuple[Any, ...], str], grid: ConditionGrid, uri: str
) -> list[str]:
    """Return the answers to a file in the order of the grid."""
    try:
        return [
            answers[condition.intervention.name if i else "", condition.dose, condition.is_placebo]
            for i, condition in enumerate(grid.conditions)
        ]
    except KeyError as err:
        raise ParameterError(
            f"{uri}: {file} has no answer to {err.args[0]}; remove its part, and the batch makes "
            "it anew"
        ) from err


def _items(
    config: InterrogateConfig, batch: _Batch, uri: str
) -> tuple[list[str], tuple[Any, Any, Any]]:
    """Name the items, with labels, groups and confound."""
    if config.labels is not None:
        rows = read_table(config.labels, with_labels=not config.unlabelled)
        if unknown := [row["file"] for row in rows if row["file"] not in batch.others]:
            raise ParameterError(f"{config.labels} names {unknown[0]}, which is not in {uri}")
    else:
        rows = [{**others, "file": file} for file, others in sorted(batch.others.items())]
    if not config.unlabelled:
        rows = [{"label": _folder(row["file"]), **row} for row in rows]
        if lacking := [row["file"] for row in rows if row["label"] in (None, "")]:
            raise ParameterError(
                f"{lacking[0]} has no label ({len(lacking)} of {len(rows)} files)",
                advice=Advice(
                    "give the manifest a column label, or give ",
                    Argument("labels"),
                    ", or ",
                    Argument("unlabelled", True),
                ),
            )
    columns = Columns(config.groups, config.confound)
    source = config.labels or Path(uri)
    return [row["file"] for row in rows], metadata_of(
        rows, source, columns, unlabelled=config.unlabelled
    )


def _folder(file: str) -> str | None:
    """Return the first folder of a relative file: its class, if a folder was the manifest."""
    parts = () if "://" in file else PurePosixPath(file).parts
    return parts[0] if len(parts) > 1 and parts[0] != "/" else None
