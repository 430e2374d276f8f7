"""What can be wrong with a notated tune, and where: every error has a line and a column."""

from __future__ import annotations

from otoscope.errors import ParameterError

__all__ = ["REASONS", "ConversionError", "NotationError"]

REASONS = ("several voices", "key changes", "meter changes", "mode", "meter", "range", "no notes")


class NotationError(ParameterError):
    """Notation that cannot be read.

    Parameters
    ----------
    message : str
        What came and what is needed.
    reason : str
        The kind of error in a few words, the same for all errors of a kind: for counting.
    line, column : int, optional
        Where, from 1; without them the error is about the whole text.

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
        self.message = message
        self.reason = reason
        self.line = line
        self.column = column


class ConversionError(NotationError):
    """A tune that reads well but has no form of one key and one meter; `reason` in `REASONS`."""
