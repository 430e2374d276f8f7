"""Index pages: files, what was explained or attacked of them, and links to their reports."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from otoscope.explain import Explanation
from otoscope.report.figures import curve_image
from otoscope.report.numbers import UNKNOWN, decibels, decimals, number
from otoscope.report.pages import save_page
from otoscope.report.sentences import because

__all__ = [
    "AdversaryRow",
    "IndexRow",
    "adversaries_sentence",
    "link_from",
    "save_adversary_index",
    "save_index",
]


@dataclass(frozen=True)
class IndexRow:
    """A file of an index page.

    Parameters
    ----------
    name : str
        Name of the file.
    report : str or Path, optional
        Its report; a relative path counts from the index page's folder.
    target : str
        Output that was explained.
    output : float, optional
        Value of that output.
    support : str
        Places of the segments that it rests on, or why none are named.
    r2 : float, optional
        R² of the surrogate, where it says something.
    error : str
        Reason why there is no report.
    note : str
        Reason for caution, such as a file that was cut off.

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
    note: str = ""

    @classmethod
    def of(cls, explanation: Explanation, *, name: str, report: str | Path) -> IndexRow:
        """Summarise an explanation.

        Parameters
        ----------
        explanation : Explanation
            Explanation of the target to show.
        name : str
            Name of the file.
        report : str or Path
            Its report; a relative path counts from the index page's folder.

        Returns
        -------
        IndexRow
            Row for `save_index`.

        Examples
        --------
        >>> import torch
        >>> from otoscope.explain import SoundLIME, segments
        >>> lime = SoundLIME(
        ...     torch.nn.Flatten(), segments=segments.temporal(5), content=0.0, target=4
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


def save_index(
    rows: Sequence[IndexRow],
    path: str | os.PathLike[str],
    *,
    title: str = "Explanations",
    sentence: str = "",
) -> None:
    """Write a page that lists files and links their reports.

    Parameters
    ----------
    rows : sequence of IndexRow
        Files in the order to list them.
    path : str or PathLike
        File to write; links are relative to its folder.
    title : str
        Heading. Any text; it is escaped.
    sentence : str
        What the files have in common, above the list.

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
    lines = [
        _IndexLine(
            name=row.name,
            link="" if row.report is None else link_from(row.report, folder),
            cells=[
                row.target,
                "" if row.output is None else number(row.output),
                row.support,
                UNKNOWN if row.r2 is None else decimals(row.r2),
            ],
            error=row.error,
            note=row.note,
        )
        for row in rows
    ]
    save_page(_IndexPage(title, sentence, _EXPLAINED, lines), "index.html", path)


@dataclass(frozen=True)
class AdversaryRow:
    """An attacked file of an index page.

    Parameters
    ----------
    name : str
        Name of the file.
    report : str or Path, optional
        Its page; a relative path counts from the index page's folder.
    before, after : str
        Labels predicted for the original and for the adversary.
    confidence : float, optional
        Confidence in the aim, of the adversary.
    snr_db : float, optional
        Signal-to-noise ratio of the adversary; None if nothing was changed.
    is_fooled : bool
        True if the adversary fools the model.
    error : str
        Reason why there is no adversary.

    Examples
    --------
    >>> AdversaryRow("empty.wav", error="is empty (0 bytes)").is_fooled
    False
    """

    name: str
    report: str | Path | None = None
    before: str = ""
    after: str = ""
    confidence: float | None = None
    snr_db: float | None = None
    is_fooled: bool = False
    error: str = ""

    @property
    def cells(self) -> list[str]:
        """Texts in the order of the columns: verdict, labels, confidence, ratio."""
        return [
            "fooled" if self.is_fooled else "not fooled",
            self.before,
            self.after,
            UNKNOWN if self.confidence is None else decimals(self.confidence),
            UNKNOWN if self.snr_db is None else decibels(self.snr_db),
        ]


def adversaries_sentence(rows: Sequence[AdversaryRow]) -> str:
    """Say how many files fool the model, and how many could not be attacked.

    Parameters
    ----------
    rows : sequence of AdversaryRow
        Files.

    Returns
    -------
    str
        A sentence.

    Examples
    --------
    >>> adversaries_sentence([AdversaryRow("a.wav", is_fooled=True), AdversaryRow("b.wav")])
    'Fooled by 1 of 2 files.'
    """
    n_fooled, n_failed = sum(r.is_fooled for r in rows), sum(bool(r.error) for r in rows)
    failed = f"; {n_failed} could not be attacked" if n_failed else ""
    return f"Fooled by {n_fooled} of {len(rows) - n_failed} files{failed}."


def save_adversary_index(
    rows: Sequence[AdversaryRow],
    path: str | os.PathLike[str],
    *,
    title: str = "Adversaries",
    figure: Path | None = None,
    caption: str = "",
) -> None:
    """Write a page that lists attacked files and links their pages.

    Parameters
    ----------
    rows : sequence of AdversaryRow
        Files in the order to list them.
    path : str or PathLike
        File to write; links are relative to its folder.
    title : str
        Heading. Any text; it is escaped.
    figure : Path, optional
        SVG file of the robustness curve, which becomes a part of the page.
    caption : str
        Sentence about the figure.

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
    >>> save_adversary_index([AdversaryRow("a.ogg", path.with_name("a.html"), "rock")], path)
    >>> 'href="a.html"' in path.read_text()
    True
    """
    folder = Path(path).absolute().parent
    lines = [
        _IndexLine(
            name=row.name,
            link="" if row.report is None else link_from(row.report, folder),
            cells=row.cells,
            error=row.error,
        )
        for row in rows
    ]
    image = "" if figure is None else curve_image(figure)
    page = _IndexPage(title, adversaries_sentence(rows), _ATTACKED, lines, image, caption)
    save_page(page, "index.html", path)


@dataclass(frozen=True)
class _Column:
    """A column of an index page: its heading, and the name of a cell on a narrow screen."""

    heading: str
    name: str
    is_number: bool = False


_EXPLAINED = [
    _Column("Output", "Output"),
    _Column("The model gives", "Model gives", is_number=True),
    _Column("It rests on", "It rests on"),
    _Column("R²", "R²", is_number=True),
]
_ATTACKED = [
    _Column("Verdict", "Verdict"),
    _Column("Heard before", "Heard before"),
    _Column("Heard in the file", "Heard in the file"),
    _Column("Confidence", "Confidence", is_number=True),
    _Column("Signal-to-noise ratio", "SNR", is_number=True),
]


@dataclass(frozen=True)
class _IndexLine:
    """A row of the index page."""

    name: str
    link: str
    cells: list[str]
    error: str
    note: str = ""


@dataclass(frozen=True)
class _IndexPage:
    """The index page."""

    title: str
    sentence: str
    columns: list[_Column]
    rows: list[_IndexLine]
    figure: str = ""
    caption: str = ""


def link_from(report: str | Path, folder: Path) -> str:
    """Write a relative address; quoting the colon keeps a file named javascript: a file."""
    return quote(os.fsencode(Path(os.path.relpath(folder / report, folder)).as_posix()))
