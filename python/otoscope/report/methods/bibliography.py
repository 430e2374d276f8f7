"""Citations: a text names keys of ``references.bib``, the bibliography of the documentation too.

The paragraph cites author and year, and the entries follow, so that both can be pasted.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from otoscope.records import versions

__all__ = ["Methods", "entries", "methods"]

_ENTRY = re.compile(r"^@\w+\{(\w+),\n.*?^\}", re.DOTALL | re.MULTILINE)
_CITED = re.compile(r" \[(@\w+(?:; @\w+)*)\]")
_ACCENTS = {
    "'": "\u0301",
    "`": "\u0300",
    '"': "\u0308",
    "^": "\u0302",
    "~": "\u0303",
    "k": "\u0328",
}
_ACCENTED = re.compile(r"\{\\(['`\"^~k])\{?(\w)\}?\}")  # {\'e}, {\k{a}}


@dataclass(frozen=True)
class Methods:
    """Hold how a result was obtained: a paragraph with citations, and their entries in BibTeX."""

    paragraph: str
    bibtex: str


def methods(text: str, used: Mapping[str, str] | None = None) -> Methods:
    """Add the software to a paragraph, and resolve its citations.

    Parameters
    ----------
    text : str
        Sentences in which a citation is ``" [@key; @key]"``; unknown keys stay as they are.
    used : mapping of str to str, optional
        Versions by package; those of this process by default.

    Returns
    -------
    Methods
        Paragraph with authors and years, and the entries in the order of their citation.

    Notes
    -----
    The entry of the software is :cite:`otoscope`, with the version that was used.

    Examples
    --------
    >>> made = methods("A sound was attacked [@kereliuk2015].", {"otoscope": "0.2.0"})
    >>> made.paragraph
    'A sound was attacked (Kereliuk et al., 2015). Computed with otoscope 0.2.0 (The otoscope \
developers, 2026).'
    >>> made.bibtex.splitlines()[0]
    '@article{kereliuk2015,'
    """
    used = dict(versions() if used is None else used)
    own = used.pop("otoscope", "").replace("not installed", "")
    others = ", ".join(f"{name} {version}" for name, version in used.items())
    software = " ".join(filter(None, ["otoscope", own]))
    text += f" Computed with {software} [@otoscope]{f', on {others}' if others else ''}."
    known, cited = entries(), dict.fromkeys(_keys(text))
    listed = [known[key] for key in cited if key in known]
    if own:
        listed[-1] = listed[-1].replace("\n}", f"\n  version = {{{own}}},\n}}")
    return Methods(_CITED.sub(_in_words, text), "\n".join(listed))


@cache
def entries() -> Mapping[str, str]:
    """Read the bibliography: its entries in BibTeX, by key."""
    text = (Path(__file__).parent / "references.bib").read_text("utf-8")
    return {match[1]: match[0] for match in _ENTRY.finditer(text)}


def _keys(text: str) -> Iterable[str]:
    return (key.strip(" @") for cited in _CITED.findall(text) for key in cited.split(";"))


def _in_words(match: re.Match[str]) -> str:
    keys, known = list(_keys(match[0])), entries()
    if not all(key in known for key in keys):
        return match[0]
    return f" ({'; '.join(_author_year(known[key]) for key in keys)})"


def _author_year(entry: str) -> str:
    """Cite an entry by the names of at most two authors, and its year."""
    fields = dict(re.findall(r"^  (\w+) = \{(.*)\},?$", entry, re.MULTILINE))
    names = [name.partition(",")[0] for name in fields["author"].split(" and ")]
    shown = f"{names[0]} et al." if len(names) > 2 else " and ".join(names)
    shown = _ACCENTED.sub(lambda found: found[2] + _ACCENTS[found[1]], shown)
    shown = re.sub("[{}]", "", unicodedata.normalize("NFC", shown))
    return f"{shown}, {fields.get('year', 'n.d.')}"
