"""The page of an interrogation: a verdict, what it rests on, and answers that flipped, to hear."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from otoscope.intervene.interrogation.result import (
    ClassFlips,
    Curve,
    Flip,
    Interrogated,
    Point,
)
from otoscope.records import replacing, to_json, versions
from otoscope.report._doses import charts, ranges, searches
from otoscope.report.geometry import ticks
from otoscope.report.interrogation_words import (
    bound,
    change_in_words,
    facts,
    figure,
    in_words,
    p_in_words,
    typeset,
)
from otoscope.report.pages import in_script, render
from otoscope.report.sounds import Sound, data_uris
from otoscope.report.tables import Fact

__all__ = ["Hear", "save_interrogation"]

Hear = Callable[[Flip], tuple[Tensor, Tensor, float]]
"""Gives the sounds of a flip, before and after, both [sample], and their rate."""

_PAIRS = 12
_PAIR_BYTES = 400_000  # above it Vorbis
_ELSEWHERE = 3  # other answers of a class that are named


@dataclass(frozen=True)
class _Pair:
    """A flip, and its two sounds where there are any."""

    name: str
    label: str
    change: str
    before: str
    after: str
    heard: tuple[Sound, ...]


def save_interrogation(
    found: Interrogated,
    path: str | os.PathLike[str],
    *,
    hear: Hear | None = None,
    model: str = "",
    title: str = "sounds",
    notes: Sequence[str] = (),
) -> None:
    """Write the page: one HTML file, with its sounds, that needs no network.

    Parameters
    ----------
    found : Interrogated
        What was found.
    path : str or PathLike
        Ends in .html by custom. Written whole or not at all.
    hear : callable, optional
        Flip to (before [sample], after [sample], samples a second); without it, or for features,
        flips are told and not heard. `Interrogation.hear` is one.
    model : str
        What the model is called.
    title : str
        What was interrogated on: a folder's name. Any text; it is escaped.
    notes : sequence of str
        More that a reader must know.

    Raises
    ------
    ParameterError
        If ``path`` is a folder.
    OSError
        If the folder is missing or cannot be written.

    Examples
    --------
    >>> save_interrogation(found, "horse.html", hear=interrogation.hear)  # doctest: +SKIP
    """
    verdict = found.verdict
    with replacing(Path(path)) as draft:
        content = {
            "title": f"What moves the answers of {model or 'the model'}?",
            "about": f"{len(found.items):,} items of {title} · {len(found.classes)} "
            f"class{'' if len(found.classes) == 1 else 'es'}",
            "sentence": typeset(verdict.sentence, is_sentence=True),
            "cautions": [],  # they follow what they are about
            "bound": bound(found),
            "told": [
                ("What this rests on", _sentences(verdict.evidence)),
                ("What is not supported", _sentences(verdict.not_supported)),
                ("What to mind", [*notes, *_sentences(verdict.cautions)]),
            ],
            "found": found,
            "figure": figure(found),
            "charts": charts(found),
            "ranges": ranges(found),
            "searches": searches(found),
            "score_ticks": ticks(0, 1, most=4),
            "rows": [
                _row(c, p, p in c.placebo) for c in found.curves for p in c.points + c.placebo
            ],
            "flips": [_class_row(flips) for flips in _by_loss(found.flips)],
            "pairs": [_pair(i, flip, hear) for i, flip in enumerate(found.pairs[:_PAIRS])],
            "facts": [
                *facts(found, model=model),
                *(Fact(f"Version of {name}", version) for name, version in versions().items()),
            ],
            "json": in_script(to_json({**found.to_dict(), "versions": versions()})),
        }
        draft.write_text(render("interrogation.html", content), "utf-8")


def _sentences(texts: Sequence[str]) -> list[str]:
    return [typeset(text, is_sentence=True) for text in texts]


def _row(curve: Curve, point: Point, is_placebo: bool) -> dict[str, object]:
    return {
        "name": typeset(point.intervention),
        "note": "placebo" if is_placebo else "" if curve.irrelevant else "should move it",
        "score": in_words(point.score),
        "change": change_in_words(point.change),
        "gained": point.gained,
        "lost": point.lost,
        "moved": in_words(point.moved),
        "p": p_in_words(point.p_holm if point.p_holm is not None else point.p),
    }


def _by_loss(flips: Sequence[ClassFlips]) -> list[ClassFlips]:
    return sorted(flips, key=lambda one: one.lost / max(one.right, 1), reverse=True)


def _class_row(flips: ClassFlips) -> dict[str, object]:
    most = sorted(flips.to.items(), key=lambda pair: -pair[1])
    named = [f"{label} {n}" for label, n in most[:_ELSEWHERE]]
    more = len(most) - len(named)
    return {
        "label": flips.label,
        "n": flips.n,
        "right": flips.right,
        "lost": flips.lost,
        "gained": flips.gained,
        "stays": 100 * (flips.right - flips.lost) / flips.n,
        "falls": 100 * flips.lost / flips.n,
        "rises": 100 * flips.gained / flips.n,
        "to": ", ".join(named) + (f" and {more} more" if more else ""),
    }


def _pair(index: int, flip: Flip, hear: Hear | None) -> _Pair:
    heard: tuple[Sound, ...] = ()
    if hear is not None:
        before, after, sr = hear(flip)
        uris = data_uris([before, after], sr=round(sr), lossless_bytes=_PAIR_BYTES)
        heard = tuple(
            Sound(f"{key}-{index}", key.capitalize(), f"heard as “{answer}”", 0, 100, uri)
            for key, answer, uri in zip(
                ("before", "after"), (flip.before, flip.after), uris, strict=True
            )
        )
    name = flip.name.replace("\\", "/").rsplit("/", 1)[-1]
    return _Pair(name, flip.label, typeset(str(flip.intervention)), flip.before, flip.after, heard)
