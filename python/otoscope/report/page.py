"""Pages: an explanation as one HTML file, and an index of many."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from otoscope.errors import ParameterError
from otoscope.explain import Explanation
from otoscope.records import replacing
from otoscope.report._bars import bars
from otoscope.report._lines import lines
from otoscope.report._phrases import join, number, places, support
from otoscope.report._picture import (
    loudness_png,
    mel_ticks,
    outline,
    ticks,
    time_span,
    waveform,
)
from otoscope.report._sounds import has_sound, sounds
from otoscope.report.curve import Curve
from otoscope.report.words import cautions, sentence

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
        Where the segments lie that speak for it.
    r2 : float, optional
        Of the surrogate.
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
        speaking = support(explanation)
        return cls(
            name=name,
            report=report,
            target=explanation.target,
            output=explanation.output_all,
            support=join(places(explanation, speaking)),
            r2=explanation.r2,
        )


def save_html(
    explanation: Explanation,
    path: str | os.PathLike[str],
    *,
    curve: Curve | None = None,
    title: str | None = None,
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

    Raises
    ------
    ParameterError
        If ``path`` is a folder, or ``curve`` is not a Curve.
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
    with replacing(Path(path)) as draft:
        draft.write_text(_render("explanation.html", _content(explanation, curve, title)), "utf-8")


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
        draft.write_text(_render("index.html", content), "utf-8")


def _render(template: str, content: dict[str, Any]) -> str:
    environment = Environment(
        loader=PackageLoader("otoscope.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = number
    return environment.get_template(template).render(content)


def _content(explanation: Explanation, curve: Curve | None, title: str | None) -> dict[str, Any]:
    patch, ids = explanation.patch, explanation.segment_ids
    start, end = time_span(patch)
    rows = bars(explanation)
    json = explanation.to_json(patch=False)
    heard = sounds(explanation)
    return {
        "explanation": explanation,
        "title": title or f"Why “{explanation.target}”?",
        "sentence": sentence(explanation),
        "cautions": cautions(explanation),
        "excerpt": None if patch.duration is None else f"{start:.2f}–{end:.2f} s",
        "heard": heard,
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
        "lines": None if curve is None else lines(curve, explanation),
        "facts": _facts(explanation),
        "json": Markup(json.replace("<", r"\u003c")),  # so that no </script> ends it
    }


def _facts(explanation: Explanation) -> list[tuple[str, str]]:
    """Settings, measures and versions: names and values."""
    settings, none = explanation.settings, explanation.output_none
    kernel = f"{settings.kernel}, width {settings.kernel_width:g}"
    return [
        ("Segments", settings.segments),
        ("Content", f"{settings.content} ({settings.content_space})"),
        ("Design", f"{settings.design}, seed {settings.seed}"),
        ("Passes", f"{explanation.passes:,} for {explanation.n_samples:,} samples"),
        ("Kernel", "Shapley" if settings.kernel == "shapley" else kernel),
        ("Surrogate", settings.surrogate),
        ("R²", f"{explanation.r2:.3f}"),
        ("Error at the excerpt", number(explanation.local_error)),
        ("Effective samples", f"{explanation.effective_samples:.1f}"),
        ("Output, all kept", _digits(explanation.output_all)),
        ("Output, none kept", "not asked" if none is None else _digits(none)),
        ("Intercept", _digits(explanation.intercept)),
        *((f"Version of {name}", version) for name, version in explanation.versions.items()),
    ]


def _digits(value: float) -> str:
    return f"{value:.4g}".replace("-", "\N{MINUS SIGN}")


def _link(report: str | Path, folder: Path) -> str:
    """A relative address; quoting the colon keeps a file named javascript: a file."""
    return quote(Path(os.path.relpath(folder / report, folder)).as_posix())
