"""The page of prepared tunes: counts of tunes read, rejected, and split."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from markupsafe import Markup

from otoscope.documents import document
from otoscope.folk.data import COLLECTIONS, TuneCounts
from otoscope.records import to_json, versions
from otoscope.report.methods.bibliography import methods
from otoscope.report.numbers import UNKNOWN, Tick, percent, ticks
from otoscope.report.pages import Fact, in_script, save_page, version_facts

__all__ = ["notes", "notes_on_voices", "save_counts", "sentence"]

# Tunes of the paper's own corpus (version 2 of its tokens), as its authors' log counts them.
_PAPER_METERS: Final = {
    "4/4": 12483,
    "6/8": 5941,
    "3/4": 1914,
    "2/4": 1769,
    "9/8": 847,
    "12/8": 493,
    "3/2": 189,
}
_PAPER_MODES: Final = {"maj": 15861, "min": 3184, "dor": 2971, "mix": 1620}
_BINS: Final = 40
_LISTED: Final = 8  # tokens


@dataclass(frozen=True)
class _CountTable:
    """A table of the page: the first column has names, the others numbers."""

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]
    legend: str = ""
    is_wide: bool = False


@dataclass(frozen=True)
class _CountsPage:
    """The page, ready to be printed."""

    title: str
    about: str
    sentence: str
    cautions: tuple[str, ...]
    tables_before: list[_CountTable]
    tables_after: list[_CountTable]
    steps: str
    length_ticks: list[Tick]
    count_ticks: list[Tick]
    facts: list[Fact]
    json: Markup


def sentence(counts: TuneCounts) -> str:
    """Return a sentence on the number of tunes that can be used."""
    all_kept = counts.kept == counts.read
    tunes = f"All {counts.kept:,}" if all_kept else f"{counts.kept:,} of {counts.read:,}"
    return (
        f"{tunes} tunes can be used: {counts.tokens:,} tokens, "
        f"{counts.vocabulary:,} different ones."
    )


def notes(counts: TuneCounts) -> tuple[str, ...]:
    """Return cautions: empty splits, tokens in held-out tunes only, modes of old prints."""
    cautions = []
    if empty := [name for name, split in counts.splits.items() if not split.tunes]:
        cautions.append(
            f"There is no tune in {' and '.join(empty)}: too few groups, or a fraction of 0."
        )
    if counts.unseen:
        listed = ", ".join(counts.unseen[:_LISTED])
        more = ", …" if len(counts.unseen) > _LISTED else ""
        are = "tokens are" if len(counts.unseen) > 1 else "token is"
        cautions.append(f"{len(counts.unseen)} {are} in held-out tunes only: {listed}{more}")
    if any(source.source in COLLECTIONS for source in counts.sources):
        cautions.append(
            "Old prints write dorian and mixolydian tunes as minor and major with accidentals: "
            "their modes are not to be compared with the paper’s."
        )
    return tuple(cautions)


def notes_on_voices(tunes: Iterable[tuple[str, Sequence[str]]]) -> tuple[str, ...]:
    """Say in how many tunes voices or directives were left out or keys estimated, and where first.

    ``tunes`` are name and notices of each.
    """
    kinds = {" second ": "several voices, of which one is read"}
    kinds |= {"estimated": "no key; theirs is estimated", "played, not": "times of a performance"}
    kinds["changes pitches"] = "directives on pitches that are not read"
    notes, known = [], list(tunes)
    for mark, text in kinds.items():
        firsts = ((name, next((n for n in notices if mark in n), "")) for name, notices in known)
        left_out = [(name, notice) for name, notice in firsts if notice]
        if not left_out:
            continue
        (name, notice), *others = left_out
        count = f"{len(left_out):,} tunes have" if others else "One tune has"
        notes.append(f"{count} {text}; {'the first: ' * bool(others)}{name}: {notice}")
    return tuple(notes)


def save_counts(counts: TuneCounts, path: str | os.PathLike[str], *, tokens: str) -> None:
    """Write the page: one HTML file that needs no network, whole or not at all."""
    steps, length_ticks, count_ticks = _lengths(counts)
    page = _CountsPage(
        title="Prepared tunes",
        about=f"Tokens {tokens} · {', '.join(source.title for source in counts.sources)}",
        sentence=sentence(counts),
        cautions=notes(counts),
        tables_before=[_sources(counts), _splits(counts)],
        tables_after=[
            _fractions("Meters", "Meter", counts.meters, _PAPER_METERS),
            _fractions("Modes", "Mode", counts.modes, _PAPER_MODES),
            *_reasons(counts),
        ],
        steps=steps,
        length_ticks=length_ticks,
        count_ticks=count_ticks,
        facts=_facts(counts, tokens),
        json=in_script(
            to_json(
                document(
                    "otoscope.TuneCounts",
                    2,
                    {"counts": counts.to_dict(), "versions": versions()},
                )
            )
        ),
    )
    made = methods(
        f"Tunes of {', '.join(source.title for source in counts.sources)} were written as tokens "
        f"({tokens}) [@sturm2016folkrnn]; near duplicates, in any key, are in one split."
    )
    save_page(page, "counts.html", path, package="otoscope.folk.report", methods=made)


def _sources(counts: TuneCounts) -> _CountTable:
    rows = [(s.title, *_grouped(s.read, s.kept, s.tokens)) for s in counts.sources]
    columns = ("Source", "Tunes", "Can be used", "Tokens")
    return _CountTable("Sources", columns, rows, is_wide=True)


def _splits(counts: TuneCounts) -> _CountTable:
    rows = [(name, *_grouped(s.tunes, s.groups, s.tokens)) for name, s in counts.splits.items()]
    legend = "Near duplicates, in any key, are a group; a group is never in two splits."
    return _CountTable("Splits", ("Split", "Tunes", "Groups", "Tokens"), rows, legend)


def _reasons(counts: TuneCounts) -> list[_CountTable]:
    rows = [(reason, *_grouped(count)) for reason, count in counts.reasons.items()]
    legend = "File, line and column of each tune are in rejected.jsonl."
    table = _CountTable("Rejected, by reason", ("Reason", "Tunes"), rows, legend)
    return [table] if rows else []


def _fractions(
    title: str, first: str, counts: Mapping[str, int], paper: Mapping[str, int]
) -> _CountTable:
    total, paper_total = sum(counts.values()), sum(paper.values())
    rows = [
        (
            name,
            *_grouped(counts.get(name, 0)),
            _percent(counts.get(name, 0), total),
            _percent(paper[name], paper_total) if name in paper else "–",
        )
        for name in {**counts, **paper}
    ]
    return _CountTable(title, (first, "Tunes", "Fraction", "In the paper"), rows)


def _grouped(*numbers: int) -> tuple[str, ...]:
    return tuple(f"{number:,}" for number in numbers)


def _percent(count: int, total: int) -> str:
    return percent(count / total, 1) if total else UNKNOWN


def _lengths(counts: TuneCounts) -> tuple[str, list[Tick], list[Tick]]:
    """Return the histogram of lengths (SVG path, ticks) without the longest hundredth."""
    high = max(counts.length_quantile(0.99), 2.0)
    n_tunes, edges = np.histogram(counts.lengths, bins=_BINS, range=(0, high))
    top = max(int(n_tunes.max()), 1)
    heights = [100 - 100 * int(count) / top for count in n_tunes]
    steps = "".join(
        f"V{height:.2f}H{100 * edge / high:.2f}"
        for height, edge in zip(heights, edges[1:], strict=True)
    )
    return f"M0 100{steps}V100Z", ticks(0, high, most=8), ticks(0, top, most=4)


def _facts(counts: TuneCounts, tokens: str) -> list[Fact]:
    at = {q: f"{counts.length_quantile(q):,.0f}" for q in (0, 0.05, 0.5, 0.95, 1)}
    return [
        Fact("Tokens", tokens, "v1 characters, v2 on C, v3 on C and C sharp"),
        Fact("Vocabulary", f"{counts.vocabulary:,}", "with the two boundaries"),
        Fact("Length", at[0.5], "median, tokens with boundaries"),
        Fact("Shortest, longest", f"{at[0]}, {at[1]}"),
        Fact("5 %, 95 %", f"{at[0.05]}, {at[0.95]}", "quantiles of the length"),
        Fact("Near duplicates", f"{counts.in_groups:,} tunes", "never in two splits"),
        Fact("Their groups", f"{counts.groups_of_several:,}", f"largest: {counts.largest_group}"),
        *version_facts(),
    ]
