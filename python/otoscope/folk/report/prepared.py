"""The page of prepared tunes: what was read, what was rejected and why, what a model will see."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from otoscope.folk.data import COLLECTIONS, Tally
from otoscope.records import replacing, to_json, versions
from otoscope.report.geometry import ticks
from otoscope.report.pages import in_script, render
from otoscope.report.tables import Fact

__all__ = ["notes", "save_tunes", "sentence"]

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


@dataclass(frozen=True)
class _Share:
    """A row: how many, percent of all, percent of the paper's corpus."""

    name: str
    count: str
    share: str
    paper: str


def sentence(tally: Tally) -> str:
    """Say how many tunes can be used.

    Parameters
    ----------
    tally : Tally
        Of prepared tunes.

    Returns
    -------
    str
        One sentence, plain text.

    Examples
    --------
    >>> sentence(tally)  # doctest: +SKIP
    '4,215 of 4,433 tunes can be used: 701,481 tokens, 143 different ones.'
    """
    whole = tally.kept == tally.found
    tunes = f"All {tally.kept:,}" if whole else f"{tally.kept:,} of {tally.found:,}"
    return (
        f"{tunes} tunes can be used: {tally.tokens:,} tokens, {tally.vocabulary:,} different ones."
    )


def notes(tally: Tally) -> Iterator[str]:
    """Tell what must be known of the tunes.

    Parameters
    ----------
    tally : Tally
        Of prepared tunes.

    Yields
    ------
    str
        A sentence or two.

    Examples
    --------
    >>> list(notes(tally))  # doctest: +SKIP
    ['Old prints write dorian and mixolydian tunes as minor and major with accidentals: ...']
    """
    if empty := [name for name, split in tally.splits.items() if not split.tunes]:
        yield (
            f"There is no tune in {' and '.join(empty)}: too few groups, or a share of 0 was asked."
        )
    if tally.unseen:
        shown = ", ".join(tally.unseen[:8]) + (", …" if len(tally.unseen) > 8 else "")
        are = "tokens are" if len(tally.unseen) > 1 else "token is"
        yield f"{len(tally.unseen)} {are} in held-out tunes only: {shown}"
    if any(one.source in COLLECTIONS for one in tally.sources):
        yield (
            "Old prints write dorian and mixolydian tunes as minor and major with accidentals: "
            "their modes are not to be compared with the paper’s."
        )


def save_tunes(tally: Tally, path: str | os.PathLike[str], *, tokens: str) -> None:
    """Write the page: one HTML file that needs no network.

    Parameters
    ----------
    tally : Tally
        Of prepared tunes.
    path : str or PathLike
        Ends in .html by custom. Written whole or not at all.
    tokens : {"v1", "v2", "v3"}
        What a token is.

    Raises
    ------
    ParameterError
        If ``path`` is a folder.
    OSError
        If the folder is missing or cannot be written.

    Examples
    --------
    >>> save_tunes(tally, "tunes.html", tokens="v2")  # doctest: +SKIP
    """
    with replacing(Path(path)) as draft:
        content = {
            "title": "Tunes to learn from",
            "about": f"Tokens {tokens} · {', '.join(one.title for one in tally.sources)}",
            "sentence": sentence(tally),
            "cautions": list(notes(tally)),
            "tally": tally,
            "meters": _shares(tally.meters, _PAPER_METERS),
            "modes": _shares(tally.modes, _PAPER_MODES),
            **_lengths(tally),
            "facts": _facts(tally, tokens),
            "json": in_script(to_json({"counts": tally.to_dict(), "versions": versions()})),
        }
        draft.write_text(render("tunes.html", content), "utf-8")


def _shares(counts: Mapping[str, int], paper: Mapping[str, int]) -> list[_Share]:
    total, of_paper = sum(counts.values()), sum(paper.values())
    return [
        _Share(
            name,
            f"{counts.get(name, 0):,}",
            _percent(counts.get(name, 0), total),
            _percent(paper[name], of_paper) if name in paper else "–",
        )
        for name in {**counts, **paper}
    ]


def _percent(count: int, total: int) -> str:
    return f"{100 * count / total:.1f} %" if total else "–"


def _lengths(tally: Tally) -> dict[str, object]:
    """Tunes by length, as steps; the longest hundredth is beyond the right end."""
    high = max(tally.length_at(0.99), 2.0)
    counts, edges = np.histogram(tally.lengths, bins=_BINS, range=(0, high))
    top = max(int(counts.max()), 1)
    heights = [100 - 100 * int(count) / top for count in counts]
    steps = "".join(
        f"V{height:.2f}H{100 * edge / high:.2f}"
        for height, edge in zip(heights, edges[1:], strict=True)
    )
    return {
        "steps": f"M0 100{steps}V100Z",
        "length_ticks": ticks(0, high, most=8),
        "count_ticks": ticks(0, top, most=4),
    }


def _facts(tally: Tally, tokens: str) -> list[Fact]:
    at = {share: f"{tally.length_at(share):,.0f}" for share in (0, 0.05, 0.5, 0.95, 1)}
    return [
        Fact("Tokens", tokens, "v1 characters, v2 on C, v3 on C and C sharp"),
        Fact("Vocabulary", f"{tally.vocabulary:,}", "with the two boundaries"),
        Fact("Length", at[0.5], "median, tokens with boundaries"),
        Fact("Shortest, longest", f"{at[0]}, {at[1]}"),
        Fact("5 %, 95 %", f"{at[0.05]}, {at[0.95]}", "shorter than this"),
        Fact("Near duplicates", f"{tally.in_groups:,} tunes", "never in two splits"),
        Fact("Their groups", f"{tally.groups_of_several:,}", f"largest: {tally.largest_group}"),
        *(Fact(f"Version of {name}", version) for name, version in versions().items()),
    ]
