"""Tune books: from the lines of a file to its tunes, each read or refused on its own."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

from otoscope.folk.abc._scanner import Scanner, unit_length
from otoscope.folk.abc._text import decode
from otoscope.folk.abc.errors import NotationError
from otoscope.folk.abc.key import Key
from otoscope.folk.abc.meter import FREE, Meter
from otoscope.folk.abc.tune import Tune

__all__ = ["parse_book", "read_book", "write_book"]

_FIELD = re.compile(r"([A-Za-z+]):(.*)")
_BODY_FIELD = re.compile(r"([A-Za-z+]):(?![|:])(.*)")  # not "d:|", which is music
_COMMENT = re.compile(r'("[^"]*")|(\\%)|%.*')
_OURS = "XMLKVwW+"  # not kept among a tune's headers


class _Line(NamedTuple):
    number: int
    text: str


def read_book(path: str | Path) -> list[Tune | NotationError]:
    """Read a file in ABC notation: one entry a tune, in order.

    Parameters
    ----------
    path : str or Path
        UTF-8, else Latin-1.

    Returns
    -------
    list of Tune or NotationError
        A tune that cannot be read is its error; it never fails the others.

    Raises
    ------
    NotationError
        If the file is empty, binary, or has no tune.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "book.abc"
    >>> _ = path.write_text("X:1\\nT:The Scale\\nM:C\\nK:C\\nCDEF GABc|\\n")
    >>> [tune.title for tune in read_book(path) if isinstance(tune, Tune)]
    ['The Scale']
    """
    try:
        return parse_book(decode(Path(path).read_bytes()))
    except NotationError as error:
        raise NotationError(f"{path}: {error}", reason=error.reason) from None


def parse_book(text: str) -> list[Tune | NotationError]:
    """Read all tunes of a text: one entry a tune, in order.

    Parameters
    ----------
    text : str
        A tune begins at X: (or, without X:, is a block of lines with a K: field) and ends at a
        blank line. Other text is skipped.

    Returns
    -------
    list of Tune or NotationError
        A tune that cannot be read is its error. Lines count from the text's beginning.

    Raises
    ------
    NotationError
        If there is no tune.

    Examples
    --------
    >>> tunes = parse_book("X:1\\nK:C\\nCDE|\\n\\nX:2\\nK:C\\nC;DE|\\n")
    >>> [str(tune) for tune in tunes if isinstance(tune, NotationError)]
    ["line 7, column 2: ';DE|' came, needs music"]
    """
    tunes: list[Tune | NotationError] = []
    defaults: dict[str, _Line] = {}
    for block in _blocks(text):
        if _is_tune(block):
            try:
                tunes.append(_parse_block(block, defaults))
            except NotationError as error:
                tunes.append(error)
        elif not tunes:
            defaults |= _fields_for_all(block)
    if not tunes:
        raise NotationError("no tune found, needs a K: field and music after it", reason="no tune")
    return tunes


def write_book(tunes: Iterable[Tune]) -> str:
    """Write tunes one after another, numbered from 1, a blank line between.

    Parameters
    ----------
    tunes : iterable of Tune
        In the order of the book.

    Returns
    -------
    str
        ABC, a newline at the end.

    Examples
    --------
    >>> write_book([Tune.from_abc("M:C\\nL:1/8\\nK:C\\nC|")] * 2).count("X:")
    2
    """
    return "\n".join(tune.to_abc(number) for number, tune in enumerate(tunes, 1))


def _blocks(text: str) -> Iterator[list[_Line]]:
    """Yield the lines from X: (or the first field) to the blank line after the music."""
    block: list[_Line] = []
    for number, line in enumerate(text.splitlines(), 1):
        begins = line.startswith("X:")
        if block and (begins or (not line.strip() and _ends(block))):
            yield block
            block = []
        if begins or block or _FIELD.match(line):
            block.append(_Line(number, line))
    if block:
        yield block


def _ends(block: list[_Line]) -> bool:
    """Whether a blank line ends the block: not between X: and K:, where some books have one."""
    return not block[0].text.startswith("X:") or any(x.text.startswith("K:") for x in block)


def _is_tune(block: list[_Line]) -> bool:
    return block[0].text.startswith("X:") or any(x.text.startswith("K:") for x in block)


def _fields_for_all(block: list[_Line]) -> dict[str, _Line]:
    """Return the fields before the first tune that hold for all: meter and unit."""
    matches = [(_FIELD.match(_without_comment(line.text)), line.number) for line in block]
    return {
        match[1]: _Line(number, match[2].strip())
        for match, number in matches
        if match and match[1] in "ML"
    }


def _parse_block(block: list[_Line], defaults: dict[str, _Line]) -> Tune:
    fields, voices = dict(defaults), set[str]()
    headers: list[tuple[str, str]] = []
    for index, line in enumerate(block):
        match = _FIELD.match(_without_comment(line.text))
        if match is None:
            if line.text.strip() and not line.text.startswith("%"):
                raise _error(line, f"{line.text[:20]!r} came before the K: field", "no key field")
            continue
        letter, value = match[1], match[2].strip()
        fields[letter] = _Line(line.number, value)
        if letter == "V":
            voices.add(value.split()[0] if value else "")
            if len(voices) > 1:
                raise _error(line, f"voice {value!r} is a second one", "several voices")
        if letter == "K":
            tune = _parse_music(block[index + 1 :], fields, tuple(headers), voices)
            return replace(tune, line=block[0].number)
        if letter not in _OURS:
            headers.append((letter, value))
    raise _error(block[0], "the tune has no K: field", "no key field")


def _parse_music(
    lines: list[_Line],
    fields: dict[str, _Line],
    headers: tuple[tuple[str, str], ...],
    voices: set[str],
) -> Tune:
    key = Key.parse(fields["K"].text, line=fields["K"].number, column=3)
    meter, unit = FREE, None
    if "M" in fields:
        meter = Meter.parse(fields["M"].text, line=fields["M"].number, column=3)
    if "L" in fields:
        unit = unit_length(fields["L"].text, line=fields["L"].number, column=3)
    if unit is None:
        short = meter.length is not None and meter.length < Fraction(3, 4)
        unit = Fraction(1, 16) if short else Fraction(1, 8)
    scanner = Scanner(key, meter, unit, voices)
    scanner.scan("", fields["K"].number)  # where a tune ends that has no line of music
    for line in lines:
        text = _without_comment(line.text)
        match = _BODY_FIELD.match(text)
        if match is None:
            scanner.scan(text, line.number)
        elif match[1] in "KLMPQV":
            scanner.field(match[1], match[2], line.number, 3)
    reference = re.match(r"\d{1,9}", fields["X"].text) if "X" in fields else None
    number = int(reference[0]) if reference else None
    return Tune(scanner.finish(), key, meter, unit, headers, reference=number)


def _without_comment(text: str) -> str:
    return _COMMENT.sub(lambda match: match[1] or match[2] or "", text) if "%" in text else text


def _error(line: _Line, message: str, reason: str) -> NotationError:
    return NotationError(message, reason=reason, line=line.number, column=1)
