"""Reading and writing of tunes and tune books in ABC notation."""

from __future__ import annotations

import gc
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple, TypeVar

from otoscope.folk.abc.clef import concerns_pitches
from otoscope.folk.abc.durations import default_unit, parse_unit
from otoscope.folk.abc.elements import BarLine, BrokenRhythm, InlineField
from otoscope.folk.abc.errors import NotationError
from otoscope.folk.abc.key import Key, read_key_field
from otoscope.folk.abc.meter import FREE, Meter
from otoscope.folk.abc.structure import check_size
from otoscope.folk.abc.text.lines import decode_text, split_lines
from otoscope.folk.abc.text.reading import MusicReader
from otoscope.folk.abc.text.spelling import pieces
from otoscope.folk.abc.tune import Tune

__all__ = ["book_to_abc", "listed", "parse_book", "parse_tune", "read_book", "to_abc"]

_FIELD = re.compile(r"([A-Za-z+]):(.*)")
_BODY_FIELD = re.compile(r"([A-Za-z+]):(?![|:])(.*)")  # not "d:|", which is music
_DIRECTIVE = re.compile(r"(?:%%|I:)\s*([^%]*)")
_COMMENT = re.compile(r'("[^"]*")|(\\%)|%.*')
_NOT_KEPT = "XMLKVwW+"  # not among a tune's headers
_BARS_PER_LINE = 4
Item = TypeVar("Item")


class _Line(NamedTuple):
    number: int
    text: str


def read_book(path: str | Path, *, strict: bool = False) -> list[Tune | NotationError]:
    """Read a file in ABC notation.

    Parameters
    ----------
    path : str or Path
        Text file in UTF-8, or in UTF-16 with its byte order mark; lines that are not are read as
        Windows-1252, or in the charset that the file names (I:abc-charset).
    strict : bool, default False
        Refuse tunes with several voices, overlays, or directives on pitches that are not read,
        instead of reading their first voice; what is left out is in `Tune.notices`.

    Returns
    -------
    list of Tune or NotationError
        One entry per tune, in order. A tune that cannot be read is represented by its error.

    Raises
    ------
    NotationError
        If the file is empty, binary, broken UTF-16, or has no tune.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "book.abc"
    >>> _ = path.write_text("X:1\\nT:The Scale\\nM:C\\nK:C\\nCDEF GABc|\\n")
    >>> [tune.title for tune in read_book(path) if isinstance(tune, Tune)]
    ['The Scale']
    """
    return listed(stream_book(path, strict=strict))


def stream_book(path: str | Path, *, strict: bool = False) -> Iterator[Tune | NotationError]:
    """Read the same tunes one after the other, so that no more than one need be held."""
    try:
        yield from _tunes(decode_text(Path(path).read_bytes()), strict)
    except NotationError as error:
        raise NotationError(f"{path}: {error}", reason=error.reason) from None


def parse_tune(text: str, *, strict: bool = False) -> Tune:
    """Read one tune in ABC notation.

    Parameters
    ----------
    text : str
        The tune from X: (which may be missing) to the end of the music.
    strict : bool, default False
        Refuse tunes with several voices, overlays, or directives on pitches that are not read,
        instead of reading their first voice; what is left out is in `Tune.notices`.

    Returns
    -------
    Tune
        The tune; lines and columns are those of the text.

    Raises
    ------
    NotationError
        If the notation is broken or the text has several tunes or no tune, and, if ``strict``,
        several voices; with line and column.

    Examples
    --------
    >>> parse_tune("K:G\\nG2 F>D|").notes[1].pitch
    66
    """
    if not text.strip():
        raise NotationError("the text is empty, needs a tune", reason="empty text")
    tunes = parse_book(text, strict=strict)
    if len(tunes) > 1:
        message = f"{len(tunes)} tunes came, needs one (parse_book reads many)"
        raise NotationError(message, reason="several tunes")
    if isinstance(tunes[0], NotationError):
        raise tunes[0]
    return tunes[0]


def parse_book(text: str, *, strict: bool = False) -> list[Tune | NotationError]:
    """Read all tunes of a text in ABC notation.

    Parameters
    ----------
    text : str
        Tunes and other text, which is skipped. A tune begins at X: (or, without X:, is a block of
        lines with a K: field) and ends at a blank line.
    strict : bool, default False
        Refuse tunes with several voices, overlays, or directives on pitches that are not read,
        instead of reading their first voice; what is left out is in `Tune.notices`.

    Returns
    -------
    list of Tune or NotationError
        One entry per tune, in order. A tune that cannot be read is represented by its error. Lines
        are counted from the beginning of the text.

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
    return listed(_tunes(text, strict))


def listed(tunes: Iterable[Item]) -> list[Item]:
    """List what is read, the garbage collector at rest, which would look at all of it many times.

    Reading leaves no cycles. The collector is left as it was.
    """
    is_on = gc.isenabled()
    gc.disable()
    try:
        return list(tunes)
    finally:
        if is_on:
            gc.enable()


def _tunes(text: str, strict: bool) -> Iterator[Tune | NotationError]:
    defaults: dict[str, _Line] = {}
    directives: list[_Line] = []
    has_tune = False
    for block in _blocks(text):
        if _is_tune(block):
            has_tune = True
            try:
                tune: Tune | NotationError = _parse_block(block, defaults, directives, strict)
            except NotationError as error:
                tune = error
            yield tune
            continue
        directives += _directives(block)
        if not has_tune:
            defaults |= _default_fields(block)
    if not has_tune:
        raise NotationError("no tune found, needs a K: field and music after it", reason="no tune")


def to_abc(tune: Tune, number: int | None = None) -> str:
    """Write a tune in ABC notation.

    Parameters
    ----------
    tune : Tune
        Tune to write.
    number : int, optional
        Number for X:. By default the tune's reference, else 1.

    Returns
    -------
    str
        Text with four full bars per line, the last line of a part excepted, and a newline at the
        end; `parse_tune` reads an equal tune.

    Examples
    --------
    >>> to_abc(parse_tune("M:C\\nL:1/8\\nK:C\\nCDEF G2A>B|")).splitlines()[-1]
    'CDEF G2A>B |'
    """
    number = number if number is not None else tune.reference or 1
    headers = [f"{letter}:{text}" for letter, text in tune.headers]
    unit = f"L:{tune.unit.numerator}/{tune.unit.denominator}"
    fields = [f"M:{tune.meter.text}", unit, f"K:{tune.key.abc}"]
    return "\n".join([f"X:{number}", *headers, *fields, *_lines_of_music(tune)]) + "\n"


def book_to_abc(tunes: Iterable[Tune]) -> str:
    """Write tunes in ABC notation, numbered from 1, with a blank line between.

    Parameters
    ----------
    tunes : iterable of Tune
        Tunes in the order of the book.

    Returns
    -------
    str
        Text with a newline at the end.

    Examples
    --------
    >>> book_to_abc([parse_tune("M:C\\nL:1/8\\nK:C\\nC|")] * 2).count("X:")
    2
    """
    return "\n".join(to_abc(tune, number) for number, tune in enumerate(tunes, 1))


def _lines_of_music(tune: Tune) -> list[str]:
    """Write the music: spaces at beats and around bar lines, none between a note and its signs."""
    lines, line = list[str](), ""
    meter, start = tune.meter, Fraction(0)  # start: onset of the measure
    n_bars, missing = 0, Fraction(0)  # missing: what the next measure must last to complete a bar
    last_space, after_broken = Fraction(0), False  # last_space: onset of the element after it
    spelled = pieces(tune.elements, tune.key, tune.meter, tune.unit)
    for timed, parts in zip(tune.timed_elements, spelled, strict=True):
        element, text = timed.element, "".join(parts)
        if isinstance(element, InlineField) and isinstance(element.value, Meter):
            meter = element.value
        if isinstance(element, BarLine):
            length, full = timed.onset - start, meter.length or timed.onset - start
            is_piece = length == missing or (not start and length < full)
            if length:
                n_bars += element.text != "" and not is_piece
                missing = Fraction(0) if is_piece else max(full - length, Fraction(0))
            begins_part = element.opens and not element.closes
            if n_bars and begins_part and not length:  # after a bar line, so that it begins a line
                lines, line, n_bars = [*lines, line.strip()], "", 0
            line, start = f"{line.rstrip()} {text} ", timed.onset
            # |: as the only bar line ends a line: abcjs plays notes twice before one that it begins
            ends_part = (element.closes or begins_part) and not element.ending
            if n_bars and (n_bars == _BARS_PER_LINE or ends_part):
                lines, line, n_bars = [*lines, line.strip()], "", 0
            continue
        clings = isinstance(element, BrokenRhythm) or text == ")" or after_broken
        if not (clings or last_space == timed.onset or (timed.onset - start) % meter.beat):
            line, last_space = f"{line.rstrip()} ", timed.onset
        if line.endswith(".") and text == "(":
            line += " "  # ".(" would be a dotted slur
        line, after_broken = line + text, isinstance(element, BrokenRhythm)
    return [*lines, line.strip()] if line.strip() else lines


def _blocks(text: str) -> Iterator[list[_Line]]:
    """Yield the lines from X: (or the first field) to the blank line after the music.

    A blank line between X: and K:, which some books have, ends no tune. A directive between tunes
    is a block of its own.
    """
    block: list[_Line] = []
    is_complete = False  # a blank line ends the block
    for number, line in enumerate(split_lines(text), 1):
        begins = line.startswith("X:")
        if block and (begins or (is_complete and not line.strip())):
            yield block
            block = []
        if not block and line.startswith("%%"):
            yield [_Line(number, line)]
        elif begins or block or _FIELD.match(line):
            is_complete = (
                (is_complete and bool(block)) or line.startswith("K:") or not (begins or block)
            )
            block.append(_Line(number, line))
    if block:
        yield block


def _is_tune(block: list[_Line]) -> bool:
    return block[0].text.startswith("X:") or any(x.text.startswith("K:") for x in block)


def _default_fields(block: list[_Line]) -> dict[str, _Line]:
    """Return the fields before the first tune that hold for all tunes: meter and unit."""
    matches = [(_FIELD.match(_without_comment(line.text)), line.number) for line in block]
    return {
        match[1]: _Line(number, match[2].strip())
        for match, number in matches
        if match and match[1] in "ML"
    }


def _directives(block: list[_Line]) -> list[_Line]:
    matches = [(_DIRECTIVE.match(line.text), line.number) for line in block]
    return [_Line(number, match[1]) for match, number in matches if match]


def _parse_block(
    block: list[_Line], defaults: dict[str, _Line], before: list[_Line], strict: bool
) -> Tune:
    """Read a tune; ``defaults`` and ``before`` are fields and directives of all tunes."""
    fields = dict(defaults)
    headers: list[tuple[str, str]] = []
    voices: list[_Line] = []
    for index, line in enumerate(block):
        match = _FIELD.match(_without_comment(line.text))
        if match is None:
            if line.text.strip() and not line.text.startswith("%"):
                raise _error(line, f"{line.text[:20]!r} came before the K: field", "no key field")
            continue
        letter, value = match[1], match[2].strip()
        fields[letter] = _Line(line.number, value)
        if letter == "V":
            voices.append(fields[letter])
        if letter == "K":
            directives = before + _directives(block[:index])
            start = block[0].number
            tune = _parse_music(block[index + 1 :], start, fields, voices, directives, strict)
            return replace(tune, headers=tuple(headers), line=start)
        if letter not in _NOT_KEPT and not (letter == "I" and concerns_pitches(value)):
            headers.append((letter, value))
    raise _error(block[0], "the tune has no K: field", "no key field")


def _parse_music(
    lines: list[_Line],
    start: int,
    fields: dict[str, _Line],
    voices: list[_Line],
    directives: list[_Line],
    strict: bool,
) -> Tune:
    key, specifiers = read_key_field(fields["K"].text, line=fields["K"].number, column=3)
    meter = FREE
    if "M" in fields:
        meter = Meter.parse(fields["M"].text, line=fields["M"].number, column=3)
    if "L" in fields:
        unit = parse_unit(fields["L"].text, line=fields["L"].number, column=3)
    else:
        unit = default_unit(meter)

    def read(voice: str | None) -> MusicReader:
        reader = MusicReader(key or Key(None, "none"), meter, unit, voice=voice, strict=strict)
        for line in directives:
            reader.read_directive(line.text, line.number, 3, in_tune=line.number >= start)
        reader.read_specifiers(specifiers, fields["K"].number, 3)
        for line in voices:
            reader.declare_voice(line.text, line.number, 3)
        reader.read_line("", fields["K"].number)  # the place of a tune without a line of music
        for line in lines:
            if directive := _DIRECTIVE.match(line.text):
                reader.read_directive(directive[1], line.number, 3)
                continue
            text = _without_comment(line.text)
            match = _BODY_FIELD.match(text)
            if match is None:
                reader.read_line(text, line.number)
            elif match[1] in "KLMPQV":
                reader.read_field(match[1], match[2], line.number, 3)
        return reader

    reader = read(None)
    if not reader.has_notes and reader.other_voice is not None:
        reader = read(reader.other_voice)  # the first voice with notes
    reference = re.match(r"\d{1,9}", fields["X"].text) if "X" in fields else None
    number = int(reference[0]) if reference else None
    elements = reader.finish()
    check_size(elements, reader.key, meter)
    notices = tuple(reader.notices)
    return Tune(elements, reader.key, meter, unit, reference=number, notices=notices)


def _without_comment(text: str) -> str:
    return _COMMENT.sub(lambda match: match[1] or match[2] or "", text) if "%" in text else text


def _error(line: _Line, message: str, reason: str) -> NotationError:
    return NotationError(message, reason=reason, line=line.number, column=1)
