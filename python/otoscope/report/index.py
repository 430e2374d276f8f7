"""The index page: files, what was explained of them, and links to their reports."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from otoscope.explain import Explanation
from otoscope.report.numbers import UNKNOWN, decimals, number
from otoscope.report.pages import save_page
from otoscope.report.sentences import because

__all__ = ["IndexRow", "link_from", "save_index"]


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
            target=row.target,
            output="" if row.output is None else number(row.output),
            support=row.support,
            r2=UNKNOWN if row.r2 is None else decimals(row.r2),
            error=row.error,
            note=row.note,
        )
        for row in rows
    ]
    save_page(_IndexPage(title, sentence, lines), "index.html", path)


@dataclass(frozen=True)
class _IndexLine:
    """A row of the index page."""

    name: str
    link: str
    target: str
    output: str
    support: str
    r2: str
    error: str
    note: str


@dataclass(frozen=True)
class _IndexPage:
    """The index page."""

    title: str
    sentence: str
    rows: list[_IndexLine]


def link_from(report: str | Path, folder: Path) -> str:
    """Write a relative address; quoting the colon keeps a file named javascript: a file."""
    return quote(os.fsencode(Path(os.path.relpath(folder / report, folder)).as_posix()))
