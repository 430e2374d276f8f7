"""The page of an interrogation: the verdict, its evidence, charts, and pairs of sounds to hear."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from otoscope.intervene.interrogation.result import (
    ClassFlips,
    Flip,
    InterrogationResult,
    RenderPair,
)
from otoscope.intervene.interrogation.verdict import DoseCurve, DosePoint
from otoscope.records import to_json, versions
from otoscope.report.interrogation.dose_charts import (
    DoseChart,
    Range,
    SearchChart,
    dose_charts,
    ranges,
    search_charts,
)
from otoscope.report.interrogation.text import (
    bound_text,
    change_table,
    facts,
    metric_name,
    min_score_text,
    typeset,
)
from otoscope.report.interrogation.verdict import gloss, interrogation_record, verdict_text
from otoscope.report.methods.paragraphs import interrogation_methods
from otoscope.report.numbers import Tick, format_change, format_p, format_score, ticks
from otoscope.report.pages import Fact, in_script, save_page, version_facts
from otoscope.report.sounds import Sound, data_uris

__all__ = ["InterrogationPage", "interrogation_page", "save_interrogation"]

_PAIRS = 12
_PAIR_BYTES = 400_000  # larger pairs are encoded as Vorbis
_OTHERS = 3  # other answers of a class that are named


@dataclass(frozen=True)
class References:
    """Reference scores of all charts, in percent of the axis from its low end."""

    unchanged: float
    unchanged_low: float
    unchanged_high: float
    limit: float
    chance: float | None
    confound: float | None


@dataclass(frozen=True)
class DoseRow:
    """One dose or placebo of the table."""

    name: str
    note: str
    score: str
    change: str
    gained: int
    lost: int
    moved: str
    p: str


@dataclass(frozen=True)
class ClassRow:
    """One class of the table of flips; ``stays``, ``falls`` and ``rises`` are percent of it."""

    label: str
    n: int
    right: int
    lost: int
    gained: int
    stays: float
    falls: float
    rises: float
    others: str


@dataclass(frozen=True)
class Pair:
    """A flip, with its two sounds if it can be rendered."""

    name: str
    about: str
    description: str
    flip: str
    sounds: tuple[Sound, ...]


@dataclass(frozen=True)
class Section:
    """A heading and the sentences below it."""

    heading: str
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class InterrogationPage:
    """Everything that the page shows, as strings and numbers ready to print."""

    title: str
    about: str
    sentence: str
    gloss: str
    cautions: tuple[str, ...]
    bound: str
    least: str
    is_broken: bool
    is_below: bool
    changes: tuple[tuple[str, ...], ...]
    has_labels: bool
    has_placebo: bool
    can_play: bool
    sections: tuple[Section, ...]
    metric: str
    references: References
    charts: tuple[DoseChart, ...]
    ranges: tuple[Range, ...]
    searches: tuple[SearchChart, ...]
    score_ticks: tuple[Tick, ...]
    doses: tuple[DoseRow, ...]
    classes: tuple[ClassRow, ...]
    pairs: tuple[Pair, ...]
    facts: tuple[Fact, ...]
    json: Markup


def save_interrogation(
    result: InterrogationResult,
    path: str | os.PathLike[str],
    *,
    render_pair: RenderPair | None = None,
    model: str = "",
    title: str = "sounds",
    notes: Sequence[str] = (),
    skipped: Mapping[str, Exception] | None = None,
) -> None:
    """Write the page: one HTML file, with its sounds, that needs no network.

    Parameters
    ----------
    result : InterrogationResult
        Result of an interrogation.
    path : str or PathLike
        Path of the file; written completely or not at all.
    render_pair : callable, optional
        Function of a flip that returns (before [sample], after [sample], sampling rate), such as
        `Interrogation.render_pair`. Without it the page has no sounds.
    model : str
        Name of the model.
    title : str
        Name of the data, such as that of the folder; any text, it is escaped.
    notes : sequence of str
        Further cautions.
    skipped : mapping of str to Exception, optional
        Why files were left out.

    Raises
    ------
    ParameterError
        If ``path`` is a folder.
    OSError
        If the folder is missing or cannot be written.

    Examples
    --------
    >>> save_interrogation(result, "horse.html", render_pair=interrogation.render_pair)
    ... # doctest: +SKIP
    """
    page = interrogation_page(
        result, render_pair=render_pair, model=model, title=title, notes=notes, skipped=skipped
    )
    made = interrogation_methods(result, model=model)
    save_page(page, "interrogation.html", path, methods=made)


def interrogation_page(
    result: InterrogationResult,
    *,
    render_pair: RenderPair | None = None,
    model: str = "",
    title: str = "sounds",
    notes: Sequence[str] = (),
    skipped: Mapping[str, Exception] | None = None,
) -> InterrogationPage:
    """Compute everything that the page shows; arguments as for `save_interrogation`."""
    text = verdict_text(result)
    n_classes = len(result.classes)
    charts = dose_charts(result)
    pairs = tuple(
        _pair(i, flip, result.has_labels, render_pair)
        for i, flip in enumerate(result.pairs[:_PAIRS])
    )
    sections = (
        Section("Evidence", _sentences(text.evidence)),
        Section("What is not supported", _sentences(text.not_supported)),
        Section("Cautions", (*notes, *_sentences(text.cautions))),
        _skipped_section(skipped or {}),
    )
    return InterrogationPage(
        title=f"What moves the answers of {model or 'the model'}?",
        about=f"{len(result.items):,} items of {title} · {n_classes} "
        f"class{'' if n_classes == 1 else 'es'}",
        sentence=typeset(text.sentence, is_sentence=True),
        gloss=gloss(text),
        cautions=(),  # they follow the evidence
        bound=bound_text(result),
        least=min_score_text(result),
        is_broken=result.is_broken,
        is_below=result.is_below,
        changes=tuple(change_table(result)),
        has_labels=result.has_labels,
        has_placebo=any(chart.placebo for chart in charts),
        can_play=bool(pairs) and bool(pairs[0].sounds),
        sections=tuple(section for section in sections if section.sentences),
        metric=metric_name(result),
        references=_references(result),
        charts=tuple(charts),
        ranges=tuple(ranges(result)),
        searches=tuple(search_charts(result)),
        score_ticks=tuple(ticks(0, 1, most=4)),
        doses=tuple(
            _dose_row(curve, point, is_placebo)
            for curve in result.curves
            for is_placebo, points in ((False, curve.points), (True, curve.placebo))
            for point in points
        ),
        classes=tuple(_class_row(flips) for flips in _by_loss(result.flips)),
        pairs=pairs,
        facts=(
            *facts(result, model=model),
            *version_facts(),
        ),
        json=in_script(to_json({**interrogation_record(result), "versions": versions()})),
    )


def _sentences(texts: Sequence[str]) -> tuple[str, ...]:
    return tuple(typeset(text, is_sentence=True) for text in texts)


def _skipped_section(skipped: Mapping[str, Exception]) -> Section:
    n_files = f"{len(skipped):,} sound file{'s' * (len(skipped) > 1)}"
    return Section(
        f"Skipped: {n_files} that cannot be read",
        tuple(f"{name}: {reason}" for name, reason in skipped.items()),
    )


def _references(result: InterrogationResult) -> References:
    baseline = result.baseline

    def percent(value: float) -> float:
        return 100 * value

    chance, confound = result.chance, result.confound
    return References(
        unchanged=percent(baseline.value),
        unchanged_low=percent(baseline.low),
        unchanged_high=percent(baseline.high),
        limit=percent(baseline.value - result.max_change),
        chance=None if chance is None else percent(chance.mean),
        confound=None if confound is None else percent(confound.value),
    )


def _dose_row(curve: DoseCurve, point: DosePoint, is_placebo: bool) -> DoseRow:
    p = point.p if point.p_holm is None else point.p_holm
    return DoseRow(
        name=typeset(point.intervention),
        note="placebo" if is_placebo else "" if curve.label_preserving else "positive control",
        score=format_score(point.score),
        change=format_change(point.change),
        gained=point.gained,
        lost=point.lost,
        moved=format_score(point.moved),
        p=format_p(p),
    )


def _by_loss(flips: Sequence[ClassFlips]) -> list[ClassFlips]:
    return sorted(flips, key=lambda of_class: of_class.lost / max(of_class.right, 1), reverse=True)


def _class_row(flips: ClassFlips) -> ClassRow:
    others = sorted(flips.to.items(), key=lambda pair: -pair[1])
    named = [f"{label} {n}" for label, n in others[:_OTHERS]]
    n_more = len(others) - len(named)
    return ClassRow(
        label=flips.label,
        n=flips.n,
        right=flips.right,
        lost=flips.lost,
        gained=flips.gained,
        stays=100 * (flips.right - flips.lost) / flips.n,
        falls=100 * flips.lost / flips.n,
        rises=100 * flips.gained / flips.n,
        others=(", ".join(named) + (f" and {n_more} more" if n_more else "")) or "–",
    )


def _pair(index: int, flip: Flip, has_labels: bool, render_pair: RenderPair | None) -> Pair:
    sounds: tuple[Sound, ...] = ()
    if render_pair is not None:
        before, after, sr = render_pair(flip)
        uris = data_uris([before, after], sr=round(sr), lossless_bytes=_PAIR_BYTES)
        sounds = tuple(
            Sound(f"{key}-{index}", key.capitalize(), f"answer “{answer}”", 0, 100, uri)
            for key, answer, uri in zip(
                ("before", "after"), (flip.before, flip.after), uris, strict=True
            )
        )
    name = flip.name.replace("\\", "/").rsplit("/", 1)[-1]
    change = typeset(str(flip.intervention))
    return Pair(
        name=name,
        about=f"label “{flip.label}” · {change}" if has_labels else change,
        description=f"{name}, {change}",
        flip=f"“{flip.before}” → “{flip.after}”",
        sounds=sounds,
    )
