"""Errors of notation, with line and column."""

from __future__ import annotations

from otoscope.errors import ParameterError, shortened

__all__ = ["REASONS", "ConversionError", "NotationError"]

REASONS = ("key changes", "meter changes", "mode", "meter", "range", "repeats", "no notes")


class NotationError(ParameterError):
    """Notation that cannot be read.

    Parameters
    ----------
    message : str
        Text that names what came and what is needed.
    reason : str
        Kind of error in a few words, the same for all errors of a kind, for counting.
    line, column : int, optional
        Place, from 1; without them the error concerns the whole text.

    Examples
    --------
    >>> print(NotationError("'H;' came", reason="character", line=7, column=12))
    line 7, column 12: 'H;' came
    """

    def __init__(
        self, message: str, *, reason: str, line: int | None = None, column: int | None = None
    ) -> None:
        places = [f"{name} {at}" for name, at in (("line", line), ("column", column)) if at]
        super().__init__(f"{', '.join(places)}: {message}" if places else message)
        self.message = shortened(message)
        self.reason = reason
        self.line = line
        self.column = column


class ConversionError(NotationError):
    """A tune that can be read but not be written in tokens; `reason` is one of `REASONS`."""
