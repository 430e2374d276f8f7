"""The authors' text format: three lines per tune (meter, key, body), with a blank line between."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from otoscope.folk.abc.errors import NotationError
from otoscope.folk.abc.text.lines import decode_text, split_lines
from otoscope.folk.tokens.vocabulary import START, STOP
from otoscope.records import write_text

__all__ = ["read_token_file", "write_token_file"]


def read_token_file(path: str | Path) -> list[list[str] | NotationError]:
    """Read tunes in v2 or v3 tokens from the authors' text format.

    Parameters
    ----------
    path : str or Path
        Text file in UTF-8, else Windows-1252.

    Returns
    -------
    list of (list of str) or NotationError
        One entry per tune, in order: its tokens without boundaries, or the error of a block that is
        not three lines. The tokens of the body are not checked; `Tokeniser.tune` does that.

    Raises
    ------
    NotationError
        If the file is empty, binary, or has no tune in three lines.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "tunes.txt"
    >>> write_token_file(path, [["M:4/4", "K:Cmaj", "C", "2", "|"]])
    >>> read_token_file(path)
    [['M:4/4', 'K:Cmaj', 'C', '2', '|']]
    """
    try:
        lines = split_lines(decode_text(Path(path).read_bytes()))
    except NotationError as error:
        raise NotationError(f"{path}: {error}", reason=error.reason) from None
    tunes: list[list[str] | NotationError] = []
    block: list[str] = []
    for number, line in enumerate([*lines, ""], 1):
        if line.strip():
            block.append(line)
        elif block:
            tunes.append(_tokens(block, number - len(block)))
            block = []
    if not any(isinstance(tune, list) for tune in tunes):
        message = f"{path}: no tune in three lines M:, K: and body found"
        raise NotationError(message, reason="no tune")
    return tunes


def write_token_file(path: str | Path, tunes: Iterable[Sequence[str]]) -> None:
    """Write tunes in v2 or v3 tokens in the authors' text format; the file is replaced as a whole.

    Parameters
    ----------
    path : str or Path
        File to write or replace.
    tunes : iterable of (sequence of str)
        Tokens of each tune without boundaries: meter, key, body.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "tunes.txt"
    >>> write_token_file(path, [["M:4/4", "K:Cmaj", "C", "2", "|"]])
    >>> path.read_text()
    'M:4/4\\nK:Cmaj\\nC 2 |\\n'
    """
    blocks = [f"{tune[0]}\n{tune[1]}\n{' '.join(tune[2:])}\n" for tune in tunes]
    write_text(path, "\n".join(blocks))


def _tokens(block: list[str], line: int) -> list[str] | NotationError:
    tokens = " ".join(block).split()
    tokens = tokens[tokens[0] == START : len(tokens) - (tokens[-1] == STOP)]
    starts = [text.split()[-1 if number < 2 else 0] for number, text in enumerate(block)]
    if len(block) != 3 or not (starts[0].startswith("M:") and starts[1].startswith("K:")):
        message = f"{len(block)} lines beginning {block[0][:20]!r} came, needs M:, K: and body"
        return NotationError(message, reason="three lines", line=line, column=1)
    return tokens
