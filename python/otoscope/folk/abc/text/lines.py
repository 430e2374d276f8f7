"""Text of files in ABC notation: its encoding and its lines."""

from __future__ import annotations

import codecs
import re

from otoscope.folk.abc.errors import NotationError

__all__ = ["decode_text", "split_lines"]

_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_CONTROLS = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
# ABC standard 2.1, section 4.1 (I:abc-charset); Latin-1 is read as its superset Windows-1252.
_CHARSET = re.compile(rb"^(?:I:|%%)\s*abc-charset\s+(iso-8859-(?:[2-9]|10))\b", re.I | re.M)
_LINE_END = re.compile(r"\r\n|\r|\n")
# The five bytes that Windows-1252 leaves undefined stay the control characters of Latin-1.
_WINDOWS_1252 = {n: bytes([n]).decode("cp1252", "ignore") or chr(n) for n in range(0x80, 0xA0)}


def decode_text(content: bytes) -> str:
    """Decode a file's content; refuse a file that is empty or binary.

    A line that is not UTF-8 is read in the charset that the file names (I:abc-charset), else as
    Windows-1252. A file that begins with the mark of UTF-16 is UTF-16, and refused where it is
    broken; one in UTF-16 without the mark is binary, as is UTF-32.
    """
    if not content.strip():
        raise NotationError("the file is empty, needs a tune", reason="empty file")
    if content.startswith(_UTF_16):
        try:
            text = content.decode("utf-16")
        except UnicodeDecodeError as fault:
            message = f"the file is broken UTF-16 at byte {fault.start:,}, needs text in UTF-8"
            raise NotationError(message, reason="broken encoding") from None
        content = text.encode()
    if _CONTROLS.search(content):
        raise NotationError("the file is binary, needs text", reason="binary file")
    content = content.removeprefix(codecs.BOM_UTF8)
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        charset = _CHARSET.search(content)
        name = charset[1].decode() if charset else ""
        return "".join(_decode_line(line, name) for line in content.splitlines(keepends=True))


def split_lines(text: str) -> list[str]:
    """Split a text at line ends: line feeds and carriage returns, and no other character.

    `str.splitlines` splits at form feeds, at U+0085 and at U+2028, too, which may stand in a title.

    >>> split_lines("T:a\\x0bb\\r\\nK:C\\n")
    ['T:a\\x0bb', 'K:C']
    """
    lines = _LINE_END.split(text)
    return lines if lines[-1] else lines[:-1]


def _decode_line(line: bytes, charset: str) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        if charset:
            return line.decode(charset, "replace")
        return line.decode("latin-1").translate(_WINDOWS_1252)
