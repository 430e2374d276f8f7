"""Pages: an explanation as one HTML file, and an index of many."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from otoscope.errors import ParameterError
from otoscope.explain import Explanation
from otoscope.records import replacing
from otoscope.report._bars import bars
from otoscope.report._facts import content_in_words, facts
from otoscope.report._lines import lines
from otoscope.report._picture import (
    Stretch,
    loudness_png,
    mel_ticks,
    outline,
    stretches,
    ticks,
    time_span,
    waveform,
)
from otoscope.report._render import in_script, render
from otoscope.report._sounds import has_sound, sounds
from otoscope.report.curve import Curve
from otoscope.report.words import because, cautions, sentence

__all__ = ["IndexRow", "save_html", "save_index"]


@dataclass(frozen=True)
class IndexRow:
    """A file of an index page.

    Parameters
    ----------
    name : str
        What it is called, its file name for example.
    report : str or Path, optional
        Its report; a relative path counts from the index page's folder.
    target : str
        The output that was explained.
    output : float, optional
        What the model said.
    support : str
        Where the supporting segments lie.
    r2 : float, optional
        Of the surrogate, where it says something.
    error : str
        Why there is no report.

    Examples
    --------
    >>> IndexRow("empty.wav", error="empty.wav is empty (0 bytes)").report is None
    True
    """

    name: str
    report: str | Path | None = None
    target: str = ""
    output: float | None = None
    support: str = ""
    r2: float | None = None
    error: str = ""

    @classmethod
    def of(cls, explanation: Explanation, *, name: str, report: str | Path) -> IndexRow:
        """Sum an explanation up.

        Parameters
        ----------
        explanation : Explanation
            Its shown target.
        name : str
            What the file is called.
        report : str or Path
            Its report; a relative path counts from the index page's folder.

        Returns
        -------
        IndexRow
            For `save_index`.

        Examples
        --------
        >>> import torch
        >>> from otoscope.explain import SoundLIME, segments
        >>> lime = SoundLIME(
        ...     lambda batch: batch[:, 0, 4:6].mean((1, 2)),
        ...     segments=segments.temporal(5),
        ...     content=0.0,
        ... )
        >>> IndexRow.of(lime.explain(torch.ones(10, 3)), name="ones", report="ones.html").output
        1.0
        """
        return cls(
            name=name,
            report=report,
            target=explanation.target,
            output=explanation.output_all,
            support=because(explanation),
            r2=None if explanation.is_saturated else explanation.r2,
        )


def save_html(
    explanation: Explanation,
    path: str | os.PathLike[str],
    *,
    curve: Curve | None = None,
    title: str | None = None,
    truth: Sequence[tuple[float, float]] | None = None,
) -> None:
    """Write an explanation as one HTML file, with its sounds, that needs no network.

    Parameters
    ----------
    explanation : Explanation
        Shows one target; ``explanation["speech"]`` shows another.
    path : str or PathLike
        Ends in .html by custom. Written whole or not at all.
    curve : Curve, optional
        The outputs over time around the excerpt.
    title : str, optional
        What was explained: a file's name. Any text; it is escaped.
    truth : sequence of (start, end), optional
        Seconds of the recording in which the target is really there, where that is known. Drawn
        below the picture.

    Raises
    ------
    ParameterError
        If ``path`` is a folder, ``curve`` is not a Curve, or ``truth`` is not rising pairs of
        seconds or comes with a patch that does not know its seconds.
    OSError
        If the folder is missing or cannot be written.

    Examples
    --------
    >>> import tempfile, torch
    >>> from otoscope.explain import SoundLIME, segments
    >>> lime = SoundLIME(
    ...     lambda batch: batch[:, 0, 4:6].mean((1, 2)), segments=segments.temporal(5), content=0.0
    ... )
    >>> path = Path(tempfile.mkdtemp()) / "why.html"
    >>> save_html(lime.explain(torch.ones(10, 3)), path)
    >>> path.read_text()[:15]
    '<!doctype html>'
    """
    if curve is not None and not isinstance(curve, Curve):
        raise ParameterError(f"curve is {type(curve).__name__}, must be otoscope.report.Curve")
    really = None if truth is None else stretches(explanation.patch, truth)
    with replacing(Path(path)) as draft:
        content = _content(explanation, curve, title, really)
        draft.write_text(render("explanation.html", content), "utf-8")


def save_index(
    rows: Sequence[IndexRow], path: str | os.PathLike[str], *, title: str = "Explanations"
) -> None:
    """Write a page that lists files and links their reports.

    Parameters
    ----------
    rows : sequence of IndexRow
        In the order to list them.
    path : str or PathLike
        The page; links are relative to its folder.
    title : str
        Its heading. Any text; it is escaped.

    Raises
    ------
    ParameterError
        If ``path`` is a folder.
    OSError
        If the folder is missing or cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "index.html"
    >>> save_index([IndexRow("a.ogg", path.with_name("a.html"), "singing", 0.97)], path)
    >>> 'href="a.html"' in path.read_text()
    True
    """
    folder = Path(path).absolute().parent
    with replacing(Path(path)) as draft:
        links = [row.report and _link(row.report, folder) for row in rows]
        content = {"title": title, "rows": list(zip(rows, links, strict=True))}
        draft.write_text(render("index.html", content), "utf-8")


def _content(
    explanation: Explanation, curve: Curve | None, title: str | None, truth: list[Stretch] | None
) -> dict[str, Any]:
    patch, ids = explanation.patch, explanation.segment_ids
    start, end = time_span(patch)
    rows = bars(explanation)
    json = explanation.to_json(patch=False)
    heard = sounds(explanation)
    return {
        "explanation": explanation,
        "title": title or f"Why “{explanation.target}”?",
        "about": _about(explanation),
        "others": _others(explanation),
        "sentence": sentence(explanation),
        "cautions": cautions(explanation),
        "heard": heard,
        "given": content_in_words(explanation),
        "picture": loudness_png(patch),
        "size": tuple(patch.values.shape),
        "outlines": [outline(ids == i) for i in range(len(explanation.extents))],
        "rows": rows,
        "segments": sorted(rows, key=lambda row: row.segment),
        "time_unit": "frame" if patch.duration is None else "s",
        "time_ticks": ticks(start, end),
        "mel_unit": "" if patch.mel_hz is None else "Hz",
        "mel_ticks": mel_ticks(patch),
        "waveform": waveform(patch) if has_sound(patch) else "",
        "truth": truth,
        "lines": None if curve is None else lines(curve, explanation),
        "facts": facts(explanation),
        "json": in_script(json),
    }


def _about(explanation: Explanation) -> str:
    """Which excerpt, model and output."""
    patch = explanation.patch
    start, end = time_span(patch)
    excerpt = "" if patch.duration is None else f"Excerpt {start:.2f}–{end:.2f} s"
    output = f"output “{explanation.target}”"
    return " · ".join(filter(None, [excerpt, explanation.settings.model, output]))


def _others(explanation: Explanation) -> str:
    """How to see the targets that the page does not show; empty if there are none."""
    others = [target for target in explanation.targets if target != explanation.target]
    if not others:
        return ""
    shows = "the other" if len(others) == 1 else "another"
    return f"1 of {len(others) + 1} targets; explanation[{others[0]!r}] shows {shows}"


def _link(report: str | Path, folder: Path) -> str:
    """A relative address; quoting the colon keeps a file named javascript: a file."""
    return quote(Path(os.path.relpath(folder / report, folder)).as_posix())
