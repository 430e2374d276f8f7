"""The page of a summary: what explanations of many excerpts have in common, and which stand out."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from otoscope.errors import ParameterError
from otoscope.report.index import link_from
from otoscope.report.methods.paragraphs import record_methods
from otoscope.report.numbers import Tick, decimals, number, signed, ticks
from otoscope.report.pages import save_page
from otoscope.report.profiles import Array, Features, Profile, features_of, profile_of

__all__ = ["save_summary"]

_LINES = 12  # features in the plot of all contributions
_DOTS = 1000  # excerpts in that plot
_SHADES = 5  # of the level of a segment
_COLUMNS = 80  # of the plot, in which dots are stacked
_LISTED = 5
_LEAST = 3  # excerpts of a class that have a mean to differ from


def save_summary(
    rows: Iterable[Mapping[str, Any]],
    path: str | os.PathLike[str],
    *,
    title: str = "Summary of explanations",
    reports: Sequence[str | Path] = (),
) -> None:
    """Write what many explanations have in common, and the excerpts that stand out.

    The page has the mean contribution of each part of the time and of each band, by class; all
    contributions in one plot, coloured by the level of the segment, as in SHAP's summary plot; and
    the excerpts whose contributions differ most from the mean of their class.

    Parameters
    ----------
    rows : iterable of dict
        Records of explanations, `Explanation.to_record`, with the name of a ``file`` if it is
        known. Those with an ``error`` are counted only.
    path : str or PathLike
        HTML file to write, whole or not at all.
    title : str
        Heading. Any text; it is escaped.
    reports : sequence of str or Path
        Report of each record that has no error, to be linked; none by default.

    Raises
    ------
    ParameterError
        If no record has an explanation, there is another number of reports, or ``path`` is a
        folder.
    OSError
        If the folder is missing or cannot be written.

    Notes
    -----
    A contribution is a Shapley value where all records have them, otherwise a coefficient. The
    contribution of a segment is divided between the parts of an axis by their overlap. The
    deviation of an excerpt is the root mean square, over segments, of the difference from the mean
    of its class, in standard deviations of the class.

    Examples
    --------
    >>> import tempfile, torch
    >>> from otoscope.explain import SoundLIME
    >>> lime = SoundLIME(torch.nn.Flatten(), segments="temporal:4", content=0.0, target=3)
    >>> explanations = lime.explain(torch.rand(5, 4, 1))
    >>> path = Path(tempfile.mkdtemp()) / "summary.html"
    >>> save_summary([explanation.to_record() for explanation in explanations], path)
    """
    explained: list[Mapping[str, Any]] = []
    n_failed = 0
    for row in rows:
        if row.get("error"):
            n_failed += 1
        else:
            explained.append(row)
    if not explained:
        raise ParameterError(f"none of {n_failed} records has an explanation to summarise")
    if reports and len(reports) != len(explained):
        raise ParameterError(f"reports are {len(reports)}, explanations {len(explained)}")
    folder = Path(path).absolute().parent
    links = [link_from(report, folder) for report in reports] or [""] * len(explained)
    is_shapley = all(row.get("shapley") for row in explained)
    measure = "shapley" if is_shapley else "coefficients"
    profiles = [profile_of(explained, measure, axis) for axis in ("frames", "bands")]
    features = features_of(explained, measure, profiles)
    targets = [str(row["target"]) for row in explained]
    classes = [name for name, _ in Counter(targets).most_common()]
    save_page(
        _SummaryPage(
            title=title,
            about=_about(explained, n_failed),
            sentence=_sentence(explained, targets, profiles),
            classes=[_class(name, explained, targets) for name in classes],
            matrices=[_matrix(p, targets, classes) for p in profiles if len(p.names) > 1],
            plot=_plot(features),
            outliers=_outliers(explained, features, targets, links),
            measure="Shapley values" if is_shapley else "Coefficients of the surrogate",
        ),
        "summary.html",
        path,
        methods=record_methods(explained),
    )


@dataclass(frozen=True)
class _Class:
    """A class of the page: the output explained, and means over its excerpts."""

    name: str
    n: int
    output: str
    none: str
    kinds: str


@dataclass(frozen=True)
class _Matrix:
    """Mean contributions of classes: texts, sides, and strengths in percent of the largest."""

    heading: str
    columns: list[str]
    rows: list[tuple[str, list[tuple[str, str, str]]]]


@dataclass(frozen=True)
class _Line:
    """One feature of the plot: its name, its mean, and a path of dots for each shade."""

    name: str
    mean: str
    paths: list[str]
    spoken: str


@dataclass(frozen=True)
class _Plot:
    """All contributions: a line of dots per feature, the largest mean size first."""

    lines: list[_Line]
    zero: float
    value_ticks: list[Tick]
    legend: str
    has_levels: bool


@dataclass(frozen=True)
class _Outlier:
    """An excerpt that stands out: how much, and where most."""

    name: str
    link: str
    target: str
    deviation: str
    where: str


@dataclass(frozen=True)
class _SummaryPage:
    """The page of a summary."""

    title: str
    about: str
    sentence: str
    classes: list[_Class]
    matrices: list[_Matrix]
    plot: _Plot
    outliers: list[_Outlier]
    measure: str


def _about(rows: Sequence[Mapping[str, Any]], n_failed: int) -> str:
    settings = [_settings(row) for row in rows]
    shared: list[str] = []
    for name in ("model", "segments", "content"):
        values = {str(setting[name]) for setting in settings if name in setting}
        shared += values if len(values) == 1 else []
    files = {row.get("file") for row in rows}
    counted = f"{len(rows):,} excerpts"
    if None not in files:
        counted += f" of {len(files):,} file{'s' * (len(files) != 1)}"
    failed = [f"{n_failed:,} could not be explained"] if n_failed else []
    return " · ".join([counted, *failed, *shared])


def _settings(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a row: the model's own name, and the components if there are any."""
    settings = dict(row.get("settings") or {})
    if row.get("model"):
        settings["model"] = row["model"]
    if settings.get("components") or settings.get("stems"):
        settings["segments"] = settings.get("components") or "source"
    return settings


def _kinds(rows: Sequence[Mapping[str, Any]]) -> str:
    """Count the kinds of evidence, in words."""
    words = {
        "raises": "rests on segments",
        "lowers": "is lowered by segments",
        "none": "is constant",
        "untold": "cannot be told",
    }
    counts = Counter(row.get("evidence", "untold") for row in rows)
    parts = [f"in {counts[kind]:,} it {text}" for kind, text in words.items() if counts[kind]]
    return ", ".join(parts)


def _sentence(
    rows: Sequence[Mapping[str, Any]], targets: Sequence[str], profiles: Sequence[Profile]
) -> str:
    """Say where the most frequent output's contributions are largest, and for how many excerpts."""
    ((target, n),) = Counter(targets).most_common(1)
    chosen = np.array([name == target for name in targets])
    strongest = []
    for profile in profiles:
        means = profile.values[chosen].mean(0)
        if len(means) > 1:
            best = int(means.argmax())
            strongest.append(f"{profile.names[best]} ({signed(float(means[best]))})")
    where = f" What adds most to it on average: {', '.join(strongest)}." if strongest else ""
    mine = [row for row, name in zip(rows, targets, strict=True) if name == target]
    excerpts = "one excerpt" if n == 1 else f"{n:,} excerpts"
    return f"“{target}” was explained in {excerpts}: {_kinds(mine)}.{where}"


def _class(name: str, rows: Sequence[Mapping[str, Any]], targets: Sequence[str]) -> _Class:
    mine = [row for row, target in zip(rows, targets, strict=True) if target == name]
    nones = [row["output_none"] for row in mine if row.get("output_none") is not None]
    return _Class(
        name=name,
        n=len(mine),
        output=number(float(np.mean([row["output_all"] for row in mine]))),
        none=number(float(np.mean(nones))) if nones else "–",
        kinds=_kinds(mine),
    )


def _matrix(profile: Profile, targets: Sequence[str], classes: Sequence[str]) -> _Matrix:
    """Lay out the means of each class and, if there are several, of all excerpts."""
    names = np.array(targets)
    means = {name: profile.values[names == name].mean(0) for name in classes}
    if len(classes) > 1:
        means["all"] = profile.values.mean(0)
    scale = max(float(np.abs(np.concatenate(list(means.values()))).max()), 1e-300)
    rows = []
    for name, values in means.items():
        cells = [
            (signed(value), "for" if value >= 0 else "against", f"{abs(value) / scale:.0%}")
            for value in values.tolist()
        ]
        rows.append((name, cells))
    return _Matrix(profile.heading, profile.names, rows)


def _plot(features: Features) -> _Plot:
    """Draw the features with the largest mean size, a dot per excerpt."""
    values = features.values
    step = -(-len(values) // _DOTS)
    order = np.argsort(-np.abs(values).mean(0), kind="stable")[:_LINES].tolist()
    low, high = min(0.0, float(values[:, order].min())), max(0.0, float(values[:, order].max()))
    if low == high:
        high = low + 1
    lines = []
    for feature in order:
        x = 100 * (values[::step, feature] - low) / (high - low)
        shade = np.zeros(len(x), dtype=int)
        if features.levels is not None:
            ranks = features.levels[:, feature].argsort(kind="stable").argsort(kind="stable")
            shade = (_SHADES * ranks // len(ranks))[::step]
        mean = signed(float(values[:, feature].mean()))
        y = _stacked(x)
        lines.append(
            _Line(
                name=features.names[feature],
                mean=mean,
                paths=[_dots(x[shade == i], y[shade == i]) for i in range(_SHADES)],
                spoken=f"{features.names[feature]}, mean {mean}",
            )
        )
    shown = "" if step == 1 else f"Every {step}th excerpt is drawn. "
    more = len(features.names) - len(lines)
    left_out = f"{more} smaller ones are left out. " if more > 0 else ""
    return _Plot(
        lines=lines,
        zero=100 * -low / (high - low),
        value_ticks=ticks(low, high, most=5),
        legend=f"A dot for each excerpt; the largest mean size first. {shown}{left_out}".strip(),
        has_levels=features.levels is not None,
    )


def _dots(x: Array, y: Array) -> str:
    return "".join(f"M{a:.2f} {b:.1f}h0" for a, b in zip(x.tolist(), y.tolist(), strict=True))


def _stacked(x: Array) -> Array:
    """Return heights in [0, 100]: dots of one column are stacked from the middle outwards."""
    column = (x * _COLUMNS / 100).astype(int)
    order = np.empty(len(x))
    for i in np.unique(column):
        places = np.flatnonzero(column == i)
        order[places] = np.arange(len(places))
    offset = np.where(order % 2 == 0, order, -order - 1) / 2
    largest = max(float(np.abs(offset).max(initial=0)), 3.0)
    heights: Array = 50 + 42 * offset / largest
    return heights


def _outliers(
    rows: Sequence[Mapping[str, Any]],
    features: Features,
    targets: Sequence[str],
    links: Sequence[str],
) -> list[_Outlier]:
    """List the excerpts that differ most from the mean of their class, in its deviations."""
    names, values = np.array(targets), features.values
    deviation = np.zeros_like(values)
    means = np.zeros_like(values)
    for name in set(targets):
        mine = names == name
        means[mine] = values[mine].mean(0)
        spread = values[mine].std(0)
        is_varied = spread > 1e-9 * np.abs(values).max(initial=1e-300)
        if mine.sum() >= _LEAST:
            centred = values[mine] - values[mine].mean(0)
            deviation[mine] = np.where(is_varied, centred / np.where(is_varied, spread, 1), 0)
    overall = np.sqrt((deviation**2).mean(1))
    outliers = []
    for i in np.argsort(-overall, kind="stable")[:_LISTED].tolist():
        if overall[i] == 0:
            break
        most = int(np.abs(deviation[i]).argmax())
        row = rows[i]
        at = "" if row.get("start") is None else f" at {decimals(row['start'])} s"
        value, mean = signed(float(values[i, most])), signed(float(means[i, most]))
        outliers.append(
            _Outlier(
                name=f"{row.get('file', f'excerpt {i}')}{at}",
                link=links[i],
                target=targets[i],
                deviation=decimals(float(overall[i])),
                where=f"{features.names[most]}: {value}, mean {mean}",
            )
        )
    return outliers
