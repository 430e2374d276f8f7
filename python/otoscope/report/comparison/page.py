"""The page of a comparison: explanations of one excerpt by several contents or models."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from otoscope.errors import ParameterError
from otoscope.explain import Explanation, Transfer
from otoscope.report.charts import segment_bars
from otoscope.report.comparison.consensus import agreement, are_same_segments
from otoscope.report.decisive import SharedRow, TransferTable, shared_rows, transfer_table
from otoscope.report.explanation import Cells, segment_cells
from otoscope.report.geometry import loudness_png, mel_ticks, time_span, time_unit
from otoscope.report.index import link_from
from otoscope.report.methods.paragraphs import explanation_methods
from otoscope.report.numbers import UNKNOWN, Tick, number, signed, ticks
from otoscope.report.pages import save_page
from otoscope.report.sentences import because, place, r2
from otoscope.report.sounds import Sound, compared_sounds

__all__ = ["save_comparison", "variant_names"]


def save_comparison(
    explanations: Sequence[Explanation],
    path: str | os.PathLike[str],
    *,
    title: str | None = None,
    names: Sequence[str] | None = None,
    reports: Sequence[str | Path] = (),
    transfers: Sequence[Sequence[Transfer | None]] = (),
) -> None:
    """Write explanations of one excerpt, by several contents or models, on one page.

    Parameters
    ----------
    explanations : sequence of Explanation
        Two explanations or more, in the order to show them.
    path : str or PathLike
        HTML file to write, whole or not at all.
    title : str, optional
        Heading. Any text; it is escaped.
    names : sequence of str, optional
        Name of each explanation; by default what differs between them, model or content.
    reports : sequence of str or Path
        Report of each explanation, to be linked; none by default.
    transfers : sequence of sequence of Transfer or None
        What several models say of each explanation's smallest sufficient sound, see `transfer_set`.

    Raises
    ------
    ParameterError
        If there are fewer than two explanations, another number of names or reports, or ``path``
        is a folder.
    OSError
        If the folder is missing or cannot be written.

    Examples
    --------
    >>> import tempfile, torch
    >>> from otoscope.explain import SoundLIME
    >>> path = Path(tempfile.mkdtemp()) / "compared.html"
    >>> explained = [
    ...     SoundLIME(torch.nn.Flatten(), segments="temporal:4", content=content, target=3).explain(
    ...         torch.ones(4, 1)
    ...     )
    ...     for content in (0.0, 0.5)
    ... ]
    >>> save_comparison(explained, path)
    >>> agreement(explained)
    'Both explanations name frames 3–3. Rank correlation of the contributions: 1.00.'
    """
    names = variant_names(explanations) if names is None else names
    for kind, given in (
        ("names", names),
        ("reports", reports or names),
        ("transfers", transfers or names),
    ):
        if len(given) != len(explanations):
            raise ParameterError(f"{kind} are {len(given)}, explanations {len(explanations)}")
    folder = Path(path).absolute().parent
    links = [link_from(report, folder) for report in reports] or [""] * len(names)
    spans = [time_span(explanation.patch) for explanation in explanations]
    units = {time_unit(explanation.patch) for explanation in explanations}
    low, high = min(start for start, _ in spans), max(end for _, end in spans)
    variants = []
    for explanation, name, link, (start, end), sounds in zip(
        explanations, names, links, spans, compared_sounds(explanations), strict=True
    ):
        left, width = (start - low) / (high - low), (end - start) / (high - low)
        none = explanation.output_none
        variants.append(
            _Variant(
                name=name,
                link=link,
                target=explanation.target,
                output=number(explanation.output_all),
                none=UNKNOWN if none is None else number(none),
                because=because(explanation),
                r2=r2(explanation),
                spectrogram=loudness_png(explanation.patch),
                size=tuple(explanation.patch.values.shape),
                cells=segment_cells(explanation, segment_bars(explanation)),
                left=100 * left,
                width=100 * width,
                mel_unit="" if explanation.patch.mel_hz is None else "Hz",
                mel_ticks=mel_ticks(explanation.patch),
                sounds=sounds,
            )
        )
    save_page(
        _ComparisonPage(
            title=title or "Explanations compared",
            about=_about(explanations),
            sentence=agreement(explanations),
            variants=variants,
            time_unit=units.pop() if len(units) == 1 else "frame",
            time_ticks=ticks(low, high),
            rows=_rows(explanations),
            sets=shared_rows(explanations),
            transfers=transfer_table(transfers),
        ),
        "comparison.html",
        path,
        methods=explanation_methods(
            [vars(explanation.settings) for explanation in explanations],
            [explanation.target for explanation in explanations],
            [explanation.n_coalitions for explanation in explanations],
        ),
    )


def variant_names(
    explanations: Sequence[Explanation], models: Sequence[str] | None = None
) -> list[str]:
    """Name explanations by what differs between them: model, content, or else a number."""
    if len(explanations) < 2:
        raise ParameterError(f"there are {len(explanations)} explanations to compare; give 2")
    settings = [explanation.settings for explanation in explanations]
    choices = [models or [s.model for s in settings], [s.content for s in settings]]
    differing = [choice for choice in choices if len(set(choice)) > 1]
    names = [" · ".join(parts) for parts in zip(*differing, strict=True)] or [""] * len(settings)
    if len(set(names)) == len(names):
        return names
    return [f"{i}. {name}".rstrip(". ") for i, name in enumerate(names, 1)]


@dataclass(frozen=True)
class _Variant:
    """One explanation of the page: its row in the table, and its picture."""

    name: str
    link: str
    target: str
    output: str
    none: str
    because: str
    r2: str
    spectrogram: str
    size: tuple[int, ...]
    cells: list[Cells]
    left: float
    width: float
    mel_unit: str
    mel_ticks: list[Tick]
    sounds: list[Sound]


@dataclass(frozen=True)
class _Row:
    """Contributions of one segment in all explanations: texts, and strengths with signs."""

    place: str
    values: list[tuple[str, str, str]]  # text, side, strength in percent
    is_named: list[bool]


@dataclass(frozen=True)
class _ComparisonPage:
    """The page of a comparison."""

    title: str
    about: str
    sentence: str
    variants: list[_Variant]
    time_unit: str
    time_ticks: list[Tick]
    rows: list[_Row]
    sets: list[SharedRow]
    transfers: TransferTable | None


def _about(explanations: Sequence[Explanation]) -> str:
    """Name what the explanations share."""
    settings = [explanation.settings for explanation in explanations]
    shared = [
        next(iter(values))
        for values in (
            {s.model for s in settings if s.model},
            {f"output “{e.target}”" for e in explanations},
            {f"content {s.content}" for s in settings},
            {s.segments for s in settings},
        )
        if len(values) == 1
    ]
    return " · ".join(shared)


def _rows(explanations: Sequence[Explanation]) -> list[_Row]:
    """Lay out a row per segment; none where the explanations have other segments."""
    if not are_same_segments(explanations):
        return []
    first = explanations[0]
    scales = [max(float(e.coefficients.abs().max()), 1e-300) for e in explanations]
    rows = []
    for i, extent in enumerate(first.extents):
        values = [float(explanation.coefficients[i]) for explanation in explanations]
        rows.append(
            _Row(
                place=place(first, extent),
                values=[
                    (signed(value), "for" if value >= 0 else "against", f"{abs(value / scale):.0%}")
                    for value, scale in zip(values, scales, strict=True)
                ],
                is_named=[i in explanation.evidence.segments for explanation in explanations],
            )
        )
    return rows
